package protocol

import "testing"

// The talks were recorded between MariaDB 10.11 and the clients that they are
// named after. Of each, as many spans are expected as the server's general log had
// queries and executions, in its order, and one more for what could not be
// prepared (or no login), which that log leaves out.

// A ping and statistics that went well are no spans.
func TestMySQLAuxiliaryCommands(t *testing.T) {
	checkTalk(t, "mysql-admin.talk")
}

// The command-line client: errors, several results, files.
func TestMySQLClient(t *testing.T) {
	checkTalk(t, "mysql-cli.talk",
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id in (?)" db.namespace="shop" db.response.returned_rows="3"`,
		`mysql: SELECT nosuch FAILED "Table ? doesn't exist (SQLSTATE 42S02)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT nosuch" db.query.text="select * from nosuch where email=?" db.namespace="shop" db.response.status_code="1146" error.type="1146"`,
		`mysql: INSERT orders db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders(name) values(?)" db.namespace="shop" clew.db.affected_rows="2"`,
		`mysql: INSERT orders FAILED "Duplicate entry ? (SQLSTATE 23000)" db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders(name) values(?)" db.namespace="shop" db.response.status_code="1062" error.type="1062"`,
		`mysql: UPDATE orders db.system.name="mariadb" db.operation.name="UPDATE" db.query.summary="UPDATE orders" db.query.text="update orders set body=? where id < ?" db.namespace="shop" clew.db.affected_rows="2"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="SELECT DATABASE()" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="SELECT DATABASE()" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: INIT DB FAILED "Unknown database ? (SQLSTATE 42000)" db.system.name="mariadb" db.namespace="nosuchdb" db.response.status_code="1049" error.type="1049"`,
		`mysql: SELECT shop.orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT shop.orders" db.query.text="select count(*) from shop.orders" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: SELECT FAILED "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near ? at line ? (SQLSTATE 42000)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ? from" db.namespace="mysql" db.response.status_code="1064" error.type="1064"`,
		`mysql: SHOW db.system.name="mariadb" db.operation.name="SHOW" db.query.summary="SHOW" db.query.text="show tables like ?" db.namespace="mysql" db.response.returned_rows="0"`,
		`mysql: CALL shop.two db.system.name="mariadb" db.operation.name="CALL" db.query.summary="CALL shop.two" db.query.text="call shop.two()" db.namespace="mysql" db.response.returned_rows="2"`,
		`mysql: SELECT SELECT UPDATE shop.orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT SELECT UPDATE shop.orders" db.query.text="select ? as a; select ? as b; update shop.orders set body=null where id=?" db.collection.name="shop.orders" db.namespace="mysql" db.response.returned_rows="2" clew.db.affected_rows="1"`,
		`mysql: SELECT SELECT SELECT FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT SELECT SELECT" db.query.text="select ?; select nothing; select ?" db.namespace="mysql" db.response.status_code="1054" error.type="1054"`,
		`mysql: LOAD shop.items db.system.name="mariadb" db.operation.name="LOAD" db.query.summary="LOAD shop.items" db.query.text="load data local infile ? into table shop.items" db.namespace="mysql" clew.db.affected_rows="20"`,
		`mysql: LOAD shop.items db.system.name="mariadb" db.operation.name="LOAD" db.query.summary="LOAD shop.items" db.query.text="load data local infile ? into table shop.items" db.namespace="mysql"`,
		`mysql: DELETE shop.items db.system.name="mariadb" db.operation.name="DELETE" db.query.summary="DELETE shop.items" db.query.text="delete from shop.items where id > ?" db.namespace="mysql" clew.db.affected_rows="10"`,
	)
}

// Compressed after the login: counted, not guessed.
func TestMySQLCompressed(t *testing.T) {
	checkTalk(t, "mysql-compress.talk")
}

// Executed before prepared, cursors, long data, bulk, changes of the user.
func TestMySQLConnectorC(t *testing.T) {
	checkTalk(t, "mysql-connector-c.talk",
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id < ?" db.namespace="shop" db.response.returned_rows="2"`,
		`mysql: SELECT orders FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select wrong from orders" db.namespace="shop" db.response.status_code="1054" error.type="1054"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id > ?" db.namespace="shop"`,
		`mysql: UPDATE orders db.system.name="mariadb" db.operation.name="UPDATE" db.query.summary="UPDATE orders" db.query.text="update orders set body = ? where id = ?" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="3"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: CHANGE USER FAILED "Access denied for user ? (using password: YES) (SQLSTATE 28000)" db.system.name="mariadb" db.namespace="mysql" db.response.status_code="1045" error.type="1045"`,
	)
}

// A login that fails is a span, without user or password.
func TestMySQLDenied(t *testing.T) {
	checkTalk(t, "mysql-denied.talk",
		`mysql: CONNECT FAILED "Access denied for user ? (using password: YES) (SQLSTATE 28000)" db.system.name="mariadb" db.namespace="shop" db.response.status_code="1045" error.type="1045"`,
	)
}

// Compressed by another client.
func TestMySQLGoCompressed(t *testing.T) {
	checkTalk(t, "mysql-go-compress.talk")
}

// Prepares, executes and closes every statement with values.
func TestMySQLGo(t *testing.T) {
	checkTalk(t, "mysql-go.talk",
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select count(*) from orders where id > ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: INSERT orders FAILED "Duplicate entry ? for key ? (SQLSTATE 23000)" db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders(name) values(?)" db.namespace="shop" db.response.status_code="1062" error.type="1062"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id < ? order by id" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id < ? order by id" db.namespace="shop" db.response.returned_rows="2"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where id < ? order by id" db.namespace="shop" db.response.returned_rows="3"`,
		`mysql: START TRANSACTION db.system.name="mariadb" db.operation.name="START TRANSACTION" db.query.summary="START TRANSACTION" db.query.text="START TRANSACTION" db.namespace="shop"`,
		`mysql: UPDATE orders db.system.name="mariadb" db.operation.name="UPDATE" db.query.summary="UPDATE orders" db.query.text="update orders set body=? where id=?" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: ROLLBACK db.system.name="mariadb" db.operation.name="ROLLBACK" db.query.summary="ROLLBACK" db.query.text="ROLLBACK" db.namespace="shop"`,
		`mysql: SELECT absent FAILED "Table ? doesn't exist (SQLSTATE 42S02)" db.system.name="mariadb" db.namespace="shop" db.operation.name="SELECT" db.query.summary="SELECT absent" db.query.text="select * from absent where x=?" db.response.status_code="1146" error.type="1146"`,
	)
}

// Rewrites batches.
func TestMySQLJDBCBatch(t *testing.T) {
	checkTalk(t, "mysql-jdbc-batch.talk",
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="set autocommit=?, session_track_system_variables=?, sql_mode = ?" db.namespace="shop"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="SELECT @@max_allowed_packet, @@system_time_zone, @@time_zone, @@auto_increment_increment" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="5"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders" db.namespace="shop" db.response.returned_rows="5"`,
		`mysql: SELECT orders FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select nothing from orders where id = ?" db.namespace="shop" db.response.status_code="1054" error.type="1054"`,
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="set @x = ?" db.namespace="mysql"`,
	)
}

// Prepared by the server, pipelined.
func TestMySQLJDBC(t *testing.T) {
	checkTalk(t, "mysql-jdbc.talk",
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="set autocommit=?, sql_mode = ?" db.namespace="shop"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="SELECT @@max_allowed_packet, @@system_time_zone, @@time_zone, @@auto_increment_increment" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders" db.namespace="shop" db.response.returned_rows="5"`,
		`mysql: SELECT orders FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.namespace="shop" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select nothing from orders where id = ?" db.response.status_code="1054" error.type="1054"`,
		`mysql: SELECT orders FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select nothing from orders where id = ?" db.namespace="shop" db.response.status_code="1054" error.type="1054"`,
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="set @x = ?" db.namespace="mysql"`,
	)
}

// Pipelined, no EOF packets, columns not described again.
func TestMySQLMariaDBNode(t *testing.T) {
	checkTalk(t, "mysql-mariadb-node.talk",
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="SET NAMES utf8mb4" db.namespace="shop"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT items db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT items" db.query.text="select n from items where id = ?" db.namespace="shop" db.response.returned_rows="2"`,
		`mysql: SELECT items FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT items" db.query.text="select bad from items" db.namespace="shop" db.response.status_code="1054" error.type="1054"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="3"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`,
	)
}

// The prepared statements of Node's mysql2, and a change of the user.
func TestMySQLMySQL2(t *testing.T) {
	checkTalk(t, "mysql-mysql2.talk",
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: UPDATE orders db.system.name="mariadb" db.operation.name="UPDATE" db.query.summary="UPDATE orders" db.query.text="update orders set body = ? where id = ?" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: SELECT absent FAILED "Table ? doesn't exist (SQLSTATE 42S02)" db.system.name="mariadb" db.namespace="shop" db.operation.name="SELECT" db.query.summary="SELECT absent" db.query.text="select * from absent where a = ?" db.response.status_code="1146" error.type="1146"`,
		`mysql: SELECT SELECT orders DELETE items db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT SELECT orders DELETE items" db.query.text="select ?; select id from orders; delete from items where id = ?" db.namespace="shop" db.response.returned_rows="6"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: INSERT shop.orders FAILED "Duplicate entry ? for key ? (SQLSTATE 23000)" db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT shop.orders" db.query.text="insert into shop.orders(name) values(?)" db.namespace="mysql" db.response.status_code="1062" error.type="1062"`,
	)
}

// PHP's mysqli, and USE.
func TestMySQLMySQLi(t *testing.T) {
	checkTalk(t, "mysql-mysqli.talk",
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders where name=?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT SELECT UPDATE orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT SELECT UPDATE orders" db.query.text="select ?; select ?; update orders set body=null where id=?" db.collection.name="orders" db.namespace="shop" db.response.returned_rows="2"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name=?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: INSERT orders FAILED "Duplicate entry ? for key ? (SQLSTATE 23000)" db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders(name) values(?)" db.namespace="shop" db.response.status_code="1062" error.type="1062"`,
		`mysql: USE shop db.system.name="mariadb" db.operation.name="USE" db.query.summary="USE shop" db.query.text="use shop" db.namespace="mysql"`,
		`mysql: SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT" db.query.text="select ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: START TRANSACTION db.system.name="mariadb" db.operation.name="START TRANSACTION" db.query.summary="START TRANSACTION" db.query.text="START TRANSACTION" db.namespace="shop"`,
		`mysql: DELETE items db.system.name="mariadb" db.operation.name="DELETE" db.query.summary="DELETE items" db.query.text="delete from items where id=?" db.namespace="shop"`,
		`mysql: ROLLBACK db.system.name="mariadb" db.operation.name="ROLLBACK" db.query.summary="ROLLBACK" db.query.text="ROLLBACK" db.namespace="shop"`,
	)
}

// PHP's PDO.
func TestMySQLPDO(t *testing.T) {
	checkTalk(t, "mysql-pdo.talk",
		`mysql: UPDATE orders db.system.name="mariadb" db.operation.name="UPDATE" db.query.summary="UPDATE orders" db.query.text="update orders set body=? where id=?" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select count(*) from orders where id > ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select count(*) from orders where id > ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders FAILED "Unknown column ? in ? (SQLSTATE 42S22)" db.system.name="mariadb" db.namespace="shop" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select nope from orders" db.response.status_code="1054" error.type="1054"`,
	)
}

// With a trace context in a comment.
func TestMySQLPyMySQL(t *testing.T) {
	checkTalk(t, "mysql-pymysql.talk",
		`mysql: SET db.system.name="mariadb" db.operation.name="SET" db.query.summary="SET" db.query.text="SET AUTOCOMMIT = ?" db.namespace="shop"`,
		`mysql: SELECT orders db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="1"`,
		`mysql: INSERT items db.system.name="mariadb" db.operation.name="INSERT" db.query.summary="INSERT items" db.query.text="insert into items(id, n) values(?)" db.namespace="shop" clew.db.affected_rows="20"`,
		`mysql: COMMIT db.system.name="mariadb" db.operation.name="COMMIT" db.query.summary="COMMIT" db.query.text="COMMIT" db.namespace="shop"`,
		`mysql: SELECT SELECT db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT SELECT" db.query.text="select ?; select ?" db.namespace="shop" db.response.returned_rows="2"`,
		`mysql: SELECT shop.items db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT shop.items" db.query.text="select count(*) from shop.items" db.namespace="mysql" db.response.returned_rows="1"`,
		`mysql: SELECT shop.absent FAILED "Table ? doesn't exist (SQLSTATE 42S02)" db.system.name="mariadb" db.operation.name="SELECT" db.query.summary="SELECT shop.absent" db.query.text="select * from shop.absent" db.namespace="mysql" db.response.status_code="1146" error.type="1146"`,
	)
}

// Upgraded: counted.
func TestMySQLTLS(t *testing.T) {
	checkTalk(t, "mysql-tls.talk")
}

// MySQL's own ways, of another server of its protocol: go-mysql-server.
func TestMySQLOtherServer(t *testing.T) {
	checkTalk(t, "mysql-gms.talk",
		`mysql: INSERT orders db.system.name="mysql" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders values (?)" db.namespace="shop" clew.db.affected_rows="2"`,
		`mysql: SELECT orders db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT orders db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT orders" db.query.text="select id, name from orders where name = ?" db.namespace="shop" db.response.returned_rows="1"`,
		`mysql: SELECT SELECT orders db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT SELECT orders" db.query.text="select ?; select id from orders" db.collection.name="orders" db.namespace="shop" db.response.returned_rows="3"`,
		`mysql: SELECT absent FAILED "table not found: absent (SQLSTATE HY000)" db.system.name="mysql" db.operation.name="SELECT" db.query.summary="SELECT absent" db.query.text="select * from absent" db.namespace="shop" db.response.status_code="1146" error.type="1146"`,
		`mysql: INSERT orders FAILED "duplicate primary key given: [?] (SQLSTATE HY000)" db.system.name="mysql" db.operation.name="INSERT" db.query.summary="INSERT orders" db.query.text="insert into orders values (?)" db.namespace="shop" db.response.status_code="1062" error.type="1062"`,
	)
}
