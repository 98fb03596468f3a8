<?php
// A link of a chain in PHP, for PHP's own server, calling out by curl on a
// connection for each call. See package chain for what it is told.

function record(array $fields): void
{
    $file = getenv('GROUND_TRUTH');
    if ($file) {
        file_put_contents($file, json_encode($fields) . "\n", FILE_APPEND);
    }
}

$request = $_GET['id'] ?? '';
record(['request' => $request]);
header('Content-Type: text/plain');
$body = '';
$next = getenv('NEXT');
if ($next) {
    $call = bin2hex(random_bytes(16));
    record(['request' => $request, 'call' => $call]);
    $handle = curl_init("$next?id=$call");
    curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
    $body = curl_exec($handle);
    if ($body === false) {
        http_response_code(502);
        $body = curl_error($handle) . "\n";
    }
}
echo "php\n$body";
