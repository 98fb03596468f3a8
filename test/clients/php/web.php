<?php
// Pages that ask PostgreSQL by PDO, on a connection that the process keeps. Its
// queries are named as those of ../python/web.py.
$database = new PDO('pgsql:host=127.0.0.1;dbname=postgres;port=' . getenv('PGPORT'), 'postgres', '', [
    PDO::ATTR_PERSISTENT => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
]);
$name = 'q_' . str_replace('-', '_', $_GET['id']);
$database->query("SELECT pg_sleep(random() * 0.004) AS $name")->fetchAll();
$database->query("SELECT abalance AS $name FROM pgbench_accounts WHERE aid = 7")->fetchAll();
$statement = $database->prepare("SELECT tbalance AS $name FROM pgbench_tellers WHERE tid = ?");
$statement->execute([3]);
echo "done\n";
