#!/usr/bin/env bash
# Requests made from the HTTP service's own description, sent to it by schemathesis: no answer may
# be other than described, and none without a key. Expects the programs of this workspace to be
# built, and `schemathesis` on the path, or its folder as the argument.
set -euo pipefail
cd "$(dirname "$0")"
PATH="${1:+$1:}$PATH"

folder=$(mktemp -d)
coordinator=
trap 'test -z "$coordinator" || kill "$coordinator"; rm -rf "$folder"' EXIT
programs=target/debug/examples
"$programs/farspawn" coordinator --http 127.0.0.1:0 --app "a=$folder/key" -- \
    "$programs/application" > "$folder/addresses" &
coordinator=$!
until [ "$(wc -l < "$folder/addresses")" -eq 2 ]; do
    kill -0 "$coordinator"
    sleep 0.1
done
address=$(sed -n 2p "$folder/addresses")
key=$(cat "$folder/key")
python3 - "$address/openapi.json" "$key" > "$folder/openapi.json" <<'END'
import sys
from urllib.request import Request, urlopen

url, key = sys.argv[1:]
sys.stdout.buffer.write(urlopen(Request(url, headers={"Authorization": f"Bearer {key}"})).read())
END
schemathesis run "$folder/openapi.json" --url "$address" \
    --header "Authorization: Bearer $key" \
    --checks all --max-examples 60 --seed 1 --workers 1 --suppress-health-check all
