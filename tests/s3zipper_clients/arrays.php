<?php
// A client in PHP: cURL, given arrays, which it sends as multipart; and JSON for the tasks.
// Usage: php arrays.php BASE OUT, with USER_KEY, USER_SECRET, AWS_KEY, AWS_SECRET and BUCKET in the environment.

[, $base, $out] = $argv;
$bucket = getenv('BUCKET');

function call(string $url, $body, array $headers = [])
{
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_POST => true,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => $headers,
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $answer = curl_exec($curl);
    if ($answer === false || curl_getinfo($curl, CURLINFO_RESPONSE_CODE) !== 200) {
        fwrite(STDERR, "$url: " . curl_error($curl) . $answer . "\n");
        exit(1);
    }
    return $answer;
}

$token = json_decode(call("$base/gentoken", [
    'userKey' => getenv('USER_KEY'),
    'userSecret' => getenv('USER_SECRET'),
]))->token;
$bearer = ["Authorization: Bearer $token"];
$json = [...$bearer, 'Content-Type: application/json; charset=utf-8'];
$fields = [
    'awsKey' => getenv('AWS_KEY'),
    'awsSecret' => getenv('AWS_SECRET'),
    'awsBucket' => $bucket,
    'expireLink' => 24,
    'bucketAsDir' => 'false',
];

$started = call("$base/v1/zipstart", $fields + [
    'filePaths[0]' => "$bucket/docs",
    'filePaths[1]' => "$bucket/other.txt",
    'zipTo' => "$bucket/out",
    'zipFileName' => 'arrays.zip',
], $bearer);
do {
    usleep(50000);
    $state = json_decode(call("$base/v1/zipstate", $started, $json));
} while (!in_array($state->State, ['SUCCESS', 'FAILURE']));
echo json_decode(call("$base/v1/zipresult", $started, $json))->results[0], "\n";

$started = call("$base/v1/streamzip", json_encode($fields + ['filePaths' => ["$bucket/docs", "$bucket/other.txt"]]), $json);
$link = json_decode(call("$base/v1/zipresult", $started, $json))->results[0];
echo "$link\n";
file_put_contents($out, file_get_contents($link));
