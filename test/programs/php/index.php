<?php
// One script for PHP's own server and for php-fpm, calling out by curl, or by
// streams with &client=stream.

// Ground truth: what this program knows about its own requests, as JSON lines.
// See ../python/truth.py for the form.
function record(array $fields): void
{
    $file = getenv('GROUND_TRUTH');
    if ($file) {
        file_put_contents($file, json_encode($fields) . "\n", FILE_APPEND);
    }
}

function call(string $request, string $url, bool $stream): string|false
{
    $name = bin2hex(random_bytes(16));
    record(['request' => $request, 'call' => $name]);
    $url .= (str_contains($url, '?') ? '&' : '?') . 'id=' . $name;
    if ($stream) {
        return @file_get_contents($url);
    }
    $handle = curl_init($url);
    curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
    return curl_exec($handle);
}

$request = $_SERVER['HTTP_X_REQUEST_ID'] ?? $_GET['id'] ?? '';
record(['request' => $request]);
header('Content-Type: text/plain');
switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/':
        echo "hello\n";
        break;
    case '/slow':
        usleep(1000 * (int) ($_GET['ms'] ?? 200));
        echo "slow\n";
        break;
    case '/error':
        http_response_code(500);
        echo "error\n";
        break;
    case '/call':
        $body = call($request, $_GET['url'], ($_GET['client'] ?? '') === 'stream');
        if ($body === false) {
            http_response_code(502);
        }
        echo $body === false ? "bad gateway\n" : $body;
        break;
    default:
        http_response_code(404);
        echo "not found\n";
}
