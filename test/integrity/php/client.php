<?php
// Makes the requests of a plan: client.php URL PLAN POOL CONNECTIONS.
// Plan and output: see ../plan.go and ../outcome.go.
[, $url, $planName, $poolName, $connections] = $argv;
$pool = file_get_contents($poolName);
$multi = curl_multi_init();
curl_multi_setopt($multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (int)$connections);
curl_multi_setopt($multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);

function prepare(string $line): array
{
    global $url, $pool;
    [$id, $method, $target, $framing, $offset, $size, $piece, $expect, $close, $headers] = explode("\t", rtrim($line, "\n"));
    $body = substr($pool, (int)$offset, (int)$size);
    $lines = $headers === '' ? [] : array_map(fn($h) => preg_replace('/:/', ': ', $h, 1), explode("\x1f", $headers));
    $lines[] = $expect === 'expect' ? 'Expect: 100-continue' : 'Expect:';
    if ($close === 'close') {
        $lines[] = 'Connection: close';
    }
    $options = [
        CURLOPT_URL => $url . $target,
        CURLOPT_PATH_AS_IS => true,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 60,
        CURLOPT_EXPECT_100_TIMEOUT_MS => 60000,
        CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
        CURLOPT_NOBODY => $method === 'HEAD',
        CURLOPT_CUSTOMREQUEST => $method,
    ];
    if ($framing === 'length') {
        $options[CURLOPT_POSTFIELDS] = $body;
        $lines[] = 'Content-Type: application/octet-stream';
    }
    if ($framing === 'chunked') {
        $lines[] = 'Transfer-Encoding: chunked';
        $at = 0;
        $options[CURLOPT_UPLOAD] = true;
        $options[CURLOPT_READFUNCTION] = function ($handle, $file, $most) use ($body, $piece, &$at) {
            $part = substr($body, $at, min((int)$piece, $most));
            $at += strlen($part);
            return $part;
        };
    }
    $options[CURLOPT_HTTPHEADER] = $lines;
    $handle = curl_init();
    curl_setopt_array($handle, $options);
    return [$handle, $id, hash('sha256', $body)];
}

$plan = file($planName);
$next = 0;
$open = [];
do {
    while (count($open) < (int)$connections && $next < count($plan)) {
        $made = prepare($plan[$next++]);
        $open[spl_object_id($made[0])] = $made;
        curl_multi_add_handle($multi, $made[0]);
    }
    curl_multi_exec($multi, $running);
    while ($message = curl_multi_info_read($multi)) {
        [$handle, $id, $sent] = $open[spl_object_id($message['handle'])];
        unset($open[spl_object_id($handle)]);
        $error = $message['result'] === CURLE_OK ? '' : curl_strerror($message['result']) . ' ' . curl_error($handle);
        echo implode("\t", [$id, curl_getinfo($handle, CURLINFO_RESPONSE_CODE), $sent,
            hash('sha256', (string)curl_multi_getcontent($handle)), $error]), "\n";
        curl_multi_remove_handle($multi, $handle);
        curl_close($handle);
    }
    if ($running) {
        curl_multi_select($multi, 0.1);
    }
} while ($open || $next < count($plan));
