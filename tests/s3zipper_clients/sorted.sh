#!/bin/sh
# A client that encodes forms as Go's url.Values does, sorted by their names; and sends JSON about tasks as a form, too.
# Usage: sorted.sh BASE OUT, with USER_KEY, USER_SECRET, AWS_KEY, AWS_SECRET and BUCKET in the environment.
set -eu
base=$1 out=$2

post() { # PATH BODY
    curl -sS --fail-with-body -H "Authorization: Bearer ${token-}" \
        -H 'Content-Type: application/x-www-form-urlencoded' --data-raw "$2" "$base$1"
}
value() { # NAME, of the JSON on standard input
    sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" | head -n 1
}
result() { # of the JSON on standard input
    sed -n '/"results"/,/]/ s/^ *"\(http[^"]*\)".*/\1/p'
}

token=$(post /gentoken "userKey=$USER_KEY&userSecret=$USER_SECRET" | value token)
fields="awsBucket=$BUCKET&awsKey=$AWS_KEY&awsRegion=us-east-1&awsSecret=$AWS_SECRET&awsToken="
fields="$fields&expireLink=1&filePaths=$BUCKET%2Fdocs%2Fa.txt&filePaths=docs%2Fdeep%2Fb+c.txt&filePaths=$BUCKET%2Fother.txt"

started=$(post /v1/zipstart "$fields&zipTo=%2Fout%2Fsorted.zip")
while state=$(post /v1/zipstate "$started" | value State) && [ "$state" != SUCCESS ]; do
    [ "$state" != FAILURE ] || exit 1
    sleep 0.05
done
post /v1/zipresult "$started" | result

started=$(post /v1/streamzip "$fields&zipTo=")
link=$(post /v1/zipresult "$started" | result)
echo "$link"
curl -sS -f -o "$out" "$link"
