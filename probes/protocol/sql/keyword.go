package sql

import "strings"

// keyword is a word that the language knows, as far as that matters here.
type keyword uint8

const (
	_ keyword = iota
	// keyOther is one that only has to be known: it may follow a literal.
	keyOther
	// keyOnly may stand before a table; DUAL is none.
	keyOnly
	// keySkip may stand between a verb and the table it names, not after FROM.
	keySkip
	// keyClause ends a list of tables.
	keyClause
	// keyThing is what CREATE makes, and is none of those below.
	keyThing
	// keyCommand is a verb that names no table.
	keyCommand
	// keyVerb is one that names tables at once, up to the end.
	keyVerb
	// keyTableVerb is one that names them after TABLE.
	keyTableVerb

	keyAnalyze
	keyAs
	keyBy
	keyCall
	keyCopy
	keyCreate
	keyDeclare
	keyDelete
	keyDistinct
	keyDrop
	keyEscape
	keyExplain
	keyFalse
	keyFetch
	keyFor
	keyFrom
	keyFunction
	keyIdentified
	keyIn
	keyIndex
	keyInsert
	keyInto
	keyIs
	keyJoin
	keyLike
	keyArray
	keyMaterialized
	keyMerge
	keyNot
	keyNull
	keyOn
	keyPassword
	keyPrepare
	keyRecursive
	keyReplace
	keyRole
	keySchema
	keySelect
	keySet
	keyStart
	keyTable
	keyTo
	keyTransaction
	keyTrue
	keyUpdate
	keyUse
	keyUser
	keyUsing
	keyValues
	keyView
	keyWith
)

// maxKeyword is the length of the longest keyword.
const maxKeyword = 16

// lookup returns the keyword that w is, 0 if none.
func lookup(w []byte) keyword {
	if len(w) > maxKeyword {
		return 0
	}
	var buf [maxKeyword]byte
	return keywords[string(upper(buf[:0], w))]
}

func upper(dst, w []byte) []byte {
	for _, c := range w {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

var keywords = words(map[keyword]string{
	keyAnalyze: "ANALYZE ANALYSE", keyAs: "AS", keyBy: "BY", keyCall: "CALL EXEC", keyCopy: "COPY",
	keyCreate: "CREATE ALTER", keyDeclare: "DECLARE", keyDelete: "DELETE", keyDistinct: "DISTINCT", keyDrop: "DROP",
	keyEscape: "ESCAPE", keyExplain: "EXPLAIN", keyFalse: "FALSE", keyFetch: "FETCH", keyFor: "FOR", keyFrom: "FROM",
	keyFunction: "FUNCTION PROCEDURE TRIGGER EVENT RULE", keyIdentified: "IDENTIFIED", keyIn: "IN", keyIndex: "INDEX",
	keyInsert: "INSERT UPSERT", keyInto: "INTO", keyIs: "IS", keyJoin: "JOIN STRAIGHT_JOIN", keyLike: "LIKE ILIKE RLIKE REGEXP",
	keyArray: "ARRAY", keyMaterialized: "MATERIALIZED", keyMerge: "MERGE", keyNot: "NOT", keyNull: "NULL", keyOn: "ON",
	keyPassword: "PASSWORD", keyPrepare: "PREPARE", keyRecursive: "RECURSIVE", keyReplace: "REPLACE",
	keyRole: "ROLE AUTHORIZATION", keySchema: "DATABASE SCHEMA", keySelect: "SELECT", keySet: "SET", keyStart: "START",
	keyTable: "TABLE TABLES", keyTo: "TO", keyTransaction: "TRANSACTION", keyTrue: "TRUE", keyUpdate: "UPDATE", keyUse: "USE", keyUser: "USER",
	keyUsing: "USING", keyValues: "VALUES VALUE", keyView: "VIEW", keyWith: "WITH",

	keyOnly: "DUAL LATERAL ONLY ROWS",
	keySkip: `CONCURRENTLY DELAYED EXISTS EXTENDED FREEZE FULL FULLTEXT GLOBAL HIGH_PRIORITY IF IGNORE LOCAL
		LOW_PRIORITY NO_WRITE_TO_BINLOG ONLINE OR PARTITIONS QUICK SPATIAL TEMP TEMPORARY UNIQUE UNLOGGED
		VERBOSE`,
	keyClause: `EXCEPT GROUP HAVING INTERSECT LIMIT MINUS OFFSET ORDER QUALIFY RETURNING UNION WHERE WHEN
		WINDOW`,
	keyThing: `AGGREGATE COLLATION CONVERSION DOMAIN EXTENSION LANGUAGE OPERATOR POLICY PUBLICATION SEQUENCE SERVER
		STATISTICS SUBSCRIPTION TABLESPACE TYPE`,
	keyCommand: `ABORT BACKUP BEGIN CHANGE CHECKPOINT CLOSE COMMENT COMMIT DEALLOCATE DISCARD DO END EXECUTE FLUSH GRANT HELP IMPORT
		INSTALL KILL LISTEN MOVE NOTIFY PURGE REASSIGN RELEASE SECURITY RESET RESIGNAL RESTORE REVOKE ROLLBACK SAVEPOINT SHOW SHUTDOWN
		SIGNAL STOP UNINSTALL UNLISTEN UNLOCK XA`,
	keyVerb:      "CLUSTER DESC DESCRIBE HANDLER LOCK REFRESH TRUNCATE VACUUM",
	keyTableVerb: "CHECK CHECKSUM LOAD OPTIMIZE REINDEX RENAME REPAIR",

	// What else may follow a literal.
	keyOther: `ACTION ADD AFTER ALL AND ANY ASC AT AUTO_INCREMENT BETWEEN BINARY BOTH BUFFERS CASCADE CASE CHARACTER
		CHARSET COLLATE COLUMN COLUMNS CONFLICT CONSTRAINT CROSS CSV CURRENT CURSOR CYCLE DATE DAY DAY_HOUR DAY_MINUTE
		DAY_SECOND DEFAULT DEFINER DELIMITER DIV DUPLICATE ELSE ENCLOSED ENCODING ENCRYPTED ENGINE ESCAPED EVERY
		EXCLUDED EXPIRE FIELDS FIRST FOLLOWING FOREIGN FORMAT GENERATED HEADER HOUR ILIKE INCREMENT INNER INTERVAL
		INVISIBLE KEY LAST LEADING LEFT LINES LOCKED LOGIN MATCH MATCHED MATERIALIZED MAXVALUE MICROSECOND MINUTE
		MINVALUE MOD MONTH NATURAL NEXT NO NOTHING NOWAIT NULLS OFF OJ OUTER OUTFILE OVER OVERLAPS OWNER PARTITION
		PLACING POSITION PRECEDING PRIMARY QUARTER RANGE REFERENCES REQUIRE RESTART RESTRICT RETURNS RIGHT ROW
		ROW_FORMAT SECOND SEPARATOR SHARE SIMILAR SKIP SOME SOUNDS STARTING STDIN STDOUT STORAGE STORED SYMMETRIC
		TERMINATED THEN TIES TIME TIMESTAMP TIMESTAMPTZ TRAILING UESCAPE UNBOUNDED UNSIGNED UNTIL USAGE VALID VARYING
		VIRTUAL VISIBLE WEEK WITHIN WITHOUT XOR YEAR YEAR_MONTH ZONE`,
})

// words turns the table around.
func words(by map[keyword]string) map[string]keyword {
	all := make(map[string]keyword, 400)
	for key, list := range by {
		for _, w := range strings.Fields(list) {
			if all[w] < key { // a meaning goes before mere knowledge
				all[w] = key
			}
		}
	}
	return all
}
