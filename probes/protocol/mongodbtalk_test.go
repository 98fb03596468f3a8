package protocol

import "testing"

func TestMongoNode(t *testing.T) {
	checkTalk(t, "mongodb-node.talk",
		`mongodb: drop orders db.system.name="mongodb" db.namespace="shop" db.operation.name="drop" db.query.text="{\"drop\":\"orders\"}"`,
		`mongodb: insert orders db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"documents\":[?],\"ordered\":?}" clew.db.affected_rows="1"`,
		`mongodb: insert orders db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.operation.batch.size="6" db.query.text="{\"insert\":\"orders\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="6"`,
		`mongodb: insert orders FAILED "E11000 duplicate key error collection: shop.orders" db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"documents\":[?],\"ordered\":?}" clew.db.affected_rows="0" db.response.status_code="11000" error.type="11000"`,
		`mongodb: find orders db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{\"customer\":?},\"limit\":?,\"singleBatch\":?}" db.response.returned_rows="1"`,
		`mongodb: find orders db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{\"total\":{\"$gt\":?}},\"sort\":{\"total\":?},\"projection\":{\"customer\":?},\"batchSize\":?}" db.response.returned_rows="2"`,
		`mongodb: getMore orders db.system.name="mongodb" db.namespace="shop" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"orders\",\"batchSize\":?}" db.response.returned_rows="2"`,
		`mongodb: getMore orders db.system.name="mongodb" db.namespace="shop" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"orders\",\"batchSize\":?}" db.response.returned_rows="2"`,
	)
}

func TestMongoNodeb(t *testing.T) {
	checkTalk(t, "mongodb-nodeb.talk",
		`mongodb: getMore orders db.system.name="mongodb" db.namespace="shop" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"orders\",\"batchSize\":?}" db.response.returned_rows="1"`,
		`mongodb: update orders db.system.name="mongodb" db.namespace="shop" db.operation.name="update" db.query.text="{\"update\":\"orders\",\"updates\":[{\"q\":{\"total\":{\"$gt\":?}},\"u\":{\"$set\":{\"seen\":?}},\"multi\":?}],\"ordered\":?}" clew.db.affected_rows="5"`,
		`mongodb: insert orders db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="1"`,
		`mongodb: update orders db.system.name="mongodb" db.namespace="shop" db.operation.name="update" db.query.text="{\"update\":\"orders\",\"ordered\":?,\"updates\":[{\"q\":{\"_id\":?},\"u\":{\"$inc\":{\"n\":?}}}]}" clew.db.affected_rows="1"`,
		`mongodb: delete orders db.system.name="mongodb" db.namespace="shop" db.operation.name="delete" db.query.text="{\"delete\":\"orders\",\"ordered\":?,\"deletes\":[{\"q\":{\"_id\":?},\"limit\":?}]}" clew.db.affected_rows="1"`,
		`mongodb: aggregate orders db.system.name="mongodb" db.namespace="shop" db.operation.name="aggregate" db.query.text="{\"aggregate\":\"orders\",\"pipeline\":[{\"$match\":{\"total\":{\"$lt\":?}}},{\"$group\":{\"_id\":?,\"sum\":{\"$sum\":?}}}],\"cursor\":{}}" db.response.returned_rows="1"`,
		`mongodb: aggregate orders db.system.name="mongodb" db.namespace="shop" db.operation.name="aggregate" db.query.text="{\"aggregate\":\"orders\",\"pipeline\":[{\"$match\":{}},{\"$group\":{\"_id\":?,\"n\":{\"$sum\":?}}}],\"cursor\":{}}" db.response.returned_rows="1"`,
		`mongodb: distinct orders db.system.name="mongodb" db.namespace="shop" db.operation.name="distinct" db.query.text="{\"distinct\":\"orders\",\"key\":?,\"query\":{}}"`,
		`mongodb: findAndModify orders db.system.name="mongodb" db.namespace="shop" db.operation.name="findAndModify" db.query.text="{\"findAndModify\":\"orders\",\"query\":{\"_id\":?},\"remove\":?,\"new\":?,\"upsert\":?,\"update\":{\"$set\":{\"x\":?}}}"`,
	)
}

func TestMongoNodec(t *testing.T) {
	checkTalk(t, "mongodb-nodec.talk",
		`mongodb: find orders FAILED "BadValue: unknown top level operator: $nosuch. If you have a field name that starts with a ? symbol, consider using $getField or $setField." db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{\"$nosuch\":?}}" db.response.status_code="2" error.type="2"`,
		`mongodb: nosuchcommand shop FAILED "CommandNotFound: no such command: ?" db.system.name="mongodb" db.namespace="shop" db.operation.name="nosuchcommand" db.query.text="{\"nosuchcommand\":?}" db.response.status_code="59" error.type="59"`,
		`mongodb: createIndexes orders db.system.name="mongodb" db.namespace="shop" db.operation.name="createIndexes" db.query.text="{\"createIndexes\":\"orders\",\"indexes\":[{\"unique\":?,\"name\":?,\"key\":{\"customer\":?}}]}"`,
		`mongodb: insert orders FAILED "E11000 duplicate key error collection: shop.orders" db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"documents\":[?],\"ordered\":?}" clew.db.affected_rows="0" db.response.status_code="11000" error.type="11000"`,
		`mongodb: listCollections shop db.system.name="mongodb" db.namespace="shop" db.operation.name="listCollections" db.query.text="{\"listCollections\":?,\"filter\":{},\"cursor\":{},\"nameOnly\":?,\"authorizedCollections\":?}" db.response.returned_rows="1"`,
		`mongodb: find orders db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{},\"batchSize\":?}" db.response.returned_rows="2"`,
		`mongodb: killCursors orders db.system.name="mongodb" db.namespace="shop" db.operation.name="killCursors" db.query.text="{\"killCursors\":\"orders\",\"cursors\":[?]}"`,
		`mongodb: delete orders db.system.name="mongodb" db.namespace="shop" db.operation.name="delete" db.query.text="{\"delete\":\"orders\",\"deletes\":[{\"q\":{\"total\":{\"$lt\":?}},\"limit\":?}],\"ordered\":?}" clew.db.affected_rows="1"`,
	)
}

func TestMongoGo(t *testing.T) {
	checkTalk(t, "mongodb-go.talk",
		`mongodb: insert stock db.system.name="mongodb" db.namespace="ware" db.operation.name="insert" db.operation.batch.size="3" db.query.text="{\"insert\":\"stock\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="3"`,
		`mongodb: insert stock FAILED "E11000 duplicate key error collection: ware.stock" db.system.name="mongodb" db.namespace="ware" db.operation.name="insert" db.operation.batch.size="2" db.query.text="{\"insert\":\"stock\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="1" db.response.status_code="11000" error.type="11000"`,
		`mongodb: find stock db.system.name="mongodb" db.namespace="ware" db.operation.name="find" db.query.text="{\"find\":\"stock\",\"batchSize\":?,\"filter\":{\"left\":{\"$in\":[?]},\"user.?.mail\":{\"$exists\":?}}}" db.response.returned_rows="2"`,
		`mongodb: getMore stock db.system.name="mongodb" db.namespace="ware" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"stock\",\"batchSize\":?}" db.response.returned_rows="1"`,
		`mongodb: find stock db.system.name="mongodb" db.namespace="ware" db.operation.name="find" db.query.text="{\"find\":\"stock\",\"filter\":{\"?\":?},\"limit\":?,\"singleBatch\":?}" db.response.returned_rows="0"`,
		`mongodb: update stock db.system.name="mongodb" db.namespace="ware" db.operation.name="update" db.query.text="{\"update\":\"stock\",\"ordered\":?,\"updates\":[{\"q\":{\"_id\":?},\"u\":{\"$inc\":{\"left\":?}}}]}" clew.db.affected_rows="1"`,
		`mongodb: aggregate stock db.system.name="mongodb" db.namespace="ware" db.operation.name="aggregate" db.query.text="{\"aggregate\":\"stock\",\"pipeline\":[{\"$match\":{}},{\"$group\":{\"_id\":?,\"n\":{\"$sum\":?}}}],\"cursor\":{}}" db.response.returned_rows="1"`,
		`mongodb: listDatabases admin db.system.name="mongodb" db.namespace="admin" db.operation.name="listDatabases" db.query.text="{\"listDatabases\":?,\"filter\":{},\"nameOnly\":?}"`,
		`mongodb: explain stock db.system.name="mongodb" db.namespace="ware" db.operation.name="explain" db.query.text="{\"explain\":{\"find\":?,\"filter\":{\"sku\":?}}}"`,
		`mongodb: update stock db.system.name="mongodb" db.namespace="ware" db.operation.name="update" db.operation.batch.size="2" db.query.text="{\"update\":\"stock\",\"ordered\":?,\"updates\":[{\"q\":{\"_id\":?},\"u\":{\"$set\":{\"a\":?}}}]}" clew.db.affected_rows="2"`,
		`mongodb: delete stock db.system.name="mongodb" db.namespace="ware" db.operation.name="delete" db.query.text="{\"delete\":\"stock\",\"ordered\":?,\"deletes\":[{\"q\":{\"_id\":?},\"limit\":?}]}" clew.db.affected_rows="1"`,
		`mongodb: drop stock db.system.name="mongodb" db.namespace="ware" db.operation.name="drop" db.query.text="{\"drop\":\"stock\"}"`,
		`mongodb: endSessions admin FAILED "CommandNotFound: no such command: ?" db.system.name="mongodb" db.namespace="admin" db.operation.name="endSessions" db.query.text="{\"endSessions\":[{\"id\":?}]}" db.response.status_code="59" error.type="59"`,
	)
}

func TestMongoPy(t *testing.T) {
	checkTalk(t, "mongodb-py.talk",
		`mongodb: insert books db.system.name="mongodb" db.namespace="shelf" db.operation.name="insert" db.operation.batch.size="5" db.query.text="{\"insert\":\"books\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="5"`,
		`mongodb: insert books FAILED "E11000 duplicate key error collection: shelf.books" db.system.name="mongodb" db.namespace="shelf" db.operation.name="insert" db.query.text="{\"insert\":\"books\",\"ordered\":?,\"documents\":[?]}" clew.db.affected_rows="0" db.response.status_code="11000" error.type="11000"`,
		`mongodb: find books db.system.name="mongodb" db.namespace="shelf" db.operation.name="find" db.query.text="{\"find\":\"books\",\"filter\":{\"_id\":{\"$gte\":?}},\"batchSize\":?}" db.response.returned_rows="2"`,
		`mongodb: getMore books db.system.name="mongodb" db.namespace="shelf" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"books\",\"batchSize\":?}" db.response.returned_rows="2"`,
		`mongodb: getMore books db.system.name="mongodb" db.namespace="shelf" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"books\",\"batchSize\":?}" db.response.returned_rows="0"`,
		`mongodb: findAndModify books db.system.name="mongodb" db.namespace="shelf" db.operation.name="findAndModify" db.query.text="{\"findAndModify\":\"books\",\"query\":{\"_id\":?},\"new\":?,\"remove\":?}"`,
		`mongodb: update books db.system.name="mongodb" db.namespace="shelf" db.operation.name="update" db.query.text="{\"update\":\"books\",\"ordered\":?,\"updates\":[{\"q\":{},\"u\":{\"$set\":{\"lent\":?}},\"multi\":?,\"upsert\":?}]}" clew.db.affected_rows="4"`,
		`mongodb: find books FAILED "BadValue: unknown top level operator: $bad. If you have a field name that starts with a ? symbol, consider using $getField or $setField." db.system.name="mongodb" db.namespace="shelf" db.operation.name="find" db.query.text="{\"find\":\"books\",\"filter\":{\"$bad\":?}}" db.response.status_code="2" error.type="2"`,
		`mongodb: dropDatabase shelf db.system.name="mongodb" db.namespace="shelf" db.operation.name="dropDatabase" db.query.text="{\"dropDatabase\":?}"`,
		`mongodb: endSessions admin FAILED "CommandNotFound: no such command: ?" db.system.name="mongodb" db.namespace="admin" db.operation.name="endSessions" db.query.text="{\"endSessions\":[{\"id\":?}]}" db.response.status_code="59" error.type="59"`,
	)
}

func TestMongoScript(t *testing.T) {
	checkTalk(t, "mongodb-script.talk",
		`mongodb: find orders db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{\"a\":?}}" db.response.returned_rows="3"`,
		`mongodb: getMore b db.system.name="mongodb" db.namespace="a" db.operation.name="getMore" db.query.text="{\"getMore\":?,\"collection\":\"b\"}" db.response.returned_rows="2"`,
		`mongodb: find orders db.system.name="mongodb" db.namespace="shop" db.operation.name="find" db.query.text="{\"find\":\"orders\",\"filter\":{\"blob\":?}}" db.response.returned_rows="3"`,
		`mongodb: insert orders FAILED "WriteConcernFailed: waiting for replication timed out" db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"documents\":[?],\"ordered\":?}" clew.db.affected_rows="1" db.response.status_code="64" error.type="64"`,
		`mongodb: insert orders db.system.name="mongodb" db.namespace="shop" db.operation.name="insert" db.query.text="{\"insert\":\"orders\",\"documents\":[?],\"ordered\":?}"`,
		`mongodb: update orders FAILED "DuplicateKey: E11000 duplicate key error collection: shop.orders index: mail_1 dup key: {?}" db.system.name="mongodb" db.namespace="shop" db.operation.name="update" db.query.text="{\"update\":\"orders\",\"updates\":[{\"q\":{\"a\":?},\"u\":{\"$set\":{\"mail\":?}}}],\"ordered\":?}" db.response.status_code="11000" error.type="11000"`,
		`mongodb: createUser shop db.system.name="mongodb" db.namespace="shop" db.operation.name="createUser"`,
	)
}

func TestMongoMonitor(t *testing.T) {
	checkTalk(t, "mongodb-monitor.talk")
}

func TestMongoZip(t *testing.T) {
	checkTalk(t, "mongodb-zip.talk",
		`mongodb: createUser shop db.system.name="mongodb" db.namespace="shop" db.operation.name="createUser"`,
	)
}

func TestMongoAuth(t *testing.T) {
	checkTalk(t, "mongodb-auth.talk",
		`mongodb: saslContinue admin FAILED "AuthenticationFailed: Authentication failed." db.system.name="mongodb" db.namespace="admin" db.operation.name="saslContinue" db.response.status_code="18" error.type="18"`,
	)
}

func TestMongoGreeting(t *testing.T) {
	checkTalk(t, "mongodb-greeting.talk")
}
