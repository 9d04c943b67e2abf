#!/bin/sh
# A client of the AMI: multipart with repeated fields, no token, and an id with nothing in front.
# Usage: appliance.sh BASE OUT, with ADDRESS, AWS_KEY, AWS_SECRET and BUCKET in the environment.
set -eu
base=$1 out=$2

post() { # PATH OPTION...
    path=$1
    shift
    curl -sS --fail-with-body --interface "$ADDRESS" "$@" "$base$path"
}
value() { # NAME, of the JSON on standard input
    sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" | head -n 1
}
fields() { # PATH OPTION...
    post "$@" -F "awsKey=$AWS_KEY" -F "awsSecret=$AWS_SECRET" -F "awsBucket=$BUCKET" -F awsRegion=us-east-1 \
        -F resultsEmail= -F "filePaths=$BUCKET/docs" -F "filePaths=$BUCKET/other.txt" -F zipFileName=appliance.zip
}
finished() { # ID; the link
    while answer=$(post /v2/status -H 'Content-Type: application/json' -d "{\"zipID\": \"$1\"}") &&
        state=$(echo "$answer" | value State) && [ "$state" != SUCCESS ]; do
        [ "$state" != FAILURE ] || exit 1
        sleep 0.05
    done
    echo "$answer" | value Value
}

finished "$(fields /v2/s3zip -F "zipTo=$BUCKET/out" -F expireLink=1 -F bucketAsDir=true -F maxFileSize=10MB \
    -F maxFileCount=10 | value zipID)"
link=$(finished "$(fields /v2/streamzip | value zipID)")
echo "$link"
curl -sS -f -o "$out" "$link"
