#!/usr/bin/env bash
# Two daemons on this machine, from nothing to one state: rows, a conflict, a large file and a stranger.
#
# Run it by hand, or as `make demo`. It needs Go and a shell, works in a temporary directory, and cleans up behind itself.
# It ends with a failure when anything is not as it says.

set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/sbd.XXXXXX")
daemons=()

finish() {
	code=$?
	trap - EXIT INT TERM
	for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${daemons[@]}"; do wait "$pid" 2>/dev/null || true; done
	if [ "$code" != 0 ]; then
		for log in "$work"/*.log; do
			[ -e "$log" ] || continue
			echo "--- the end of $(basename "$log")"
			tail -n 30 "$log"
		done
		echo "The demo has failed."
	fi
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

# say tells what comes next; show prints a command and runs it; surprise ends the demo.
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '$ %s\n' "$*"; "$@"; }
surprise() { echo "SURPRISE: $*"; exit 1; }

# field NAME prints the first text of that name in the JSON on standard input.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# until_true LIMIT COMMAND... repeats a command until it works, for so many tenths of a second.
until_true() {
	local limit=$1
	shift
	for ((i = 0; i < limit; i++)); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	surprise "this never came true: $*"
}

# serve NAME [FLAG...] starts a daemon that knows no other, and sets $pid.
serve() {
	local name=$1
	shift
	SYNCBASE_NODE__NAME=$name syncbase serve --config isolated.yaml --data "$name" --peer-listen 127.0.0.1:0 "$@" \
		>>"$name.log" 2>&1 &
	pid=$!
	daemons+=("$pid")
	until_true 200 syncbase --data "$name" status
	echo "$name listens at $(address "$name") (process $pid)"
}
address() { syncbase --data "$1" status -o json | field peer_address; }
is_local() { syncbase --data "$1" blob stat places "$2" -o json | grep -q '"state":"local"'; }
same_rows() {
	syncbase --data laptop export places cities >laptop.jsonl
	syncbase --data server export places cities >server.jsonl
	cmp laptop.jsonl server.jsonl || surprise "the exports differ"
	echo "Both export the same $(wc -l <laptop.jsonl) rows, byte for byte."
}

say "Building the one binary"
show go build -o "$work/bin/syncbase" ./cmd/syncbase
PATH=$work/bin:$PATH
cd "$work"
# Discovery is left out, so that the two meet only when the story says so.
cat >isolated.yaml <<'END'
plugins: {disk: {kind: blobstore, path: self, required: true}}
blobs: {store: disk}
discovery: []
END

say "A laptop. Its first start makes a key, a certificate and an authority for its owner."
serve laptop
laptop=$pid

cities=$(dirname "$repository")/shared/data/cities.jsonl.gz
[ -e "$cities" ] || cities=$repository/test/e2e/testdata/cities-sample.jsonl.gz
say "Places of the world go into a collection (GeoNames, CC BY 4.0), and the collection into a syncgroup"
show syncbase --data laptop db create places
show syncbase --data laptop collection create places cities
show syncbase --data laptop import places cities "$cities"
show syncbase --data laptop syncgroup create places all --collection cities

say "A server gets an identity from the laptop, starts, and joins"
show syncbase --data laptop identity issue server --out server-identity
serve server --identity server-identity
server=$pid
show syncbase --data server syncgroup join places all --peer "$(address laptop)" --member-type server
time show syncbase --data server syncgroup wait places all --timeout 60s
same_rows

say "Both restart and take other ports: neither knows where the other is. Both change the same row."
kill "$laptop" "$server"
wait "$laptop" || surprise "the laptop's daemon ended with $?"
wait "$server" || surprise "the server's daemon ended with $?"
serve laptop
laptop=$pid
serve server --identity server-identity
server=$pid
key=$(head -n 1 laptop.jsonl | field key)
show syncbase --data laptop put places cities "$key" '{"visited":"by the laptop"}'
show syncbase --data server put places cities "$key" '{"visited":"by the server"}'
echo "laptop: $(syncbase --data laptop get places cities "$key")"
echo "server: $(syncbase --data server get places cities "$key")"

say "They meet again. The later write counts, and nothing is lost: the other one is in the history."
show syncbase --data server syncgroup join places all --peer "$(address laptop)" --member-type server
for name in server laptop server; do syncbase --data "$name" syncgroup wait places all --timeout 60s >/dev/null; done
show syncbase --data laptop history places cities "$key"
same_rows
for name in laptop server; do
	[ "$(syncbase --data "$name" history places cities "$key" | grep -c visited)" = 2 ] || surprise "the history on $name lacks a version"
done
[ "$(syncbase --data laptop history places cities "$key" -o json | field head)" = \
	"$(syncbase --data server history places cities "$key" -o json | field head)" ] || surprise "the heads differ"

say "A file of 100 MB on the laptop, named by a row. The server fetches it without being asked."
tar cf toolchain.tar -C "$(go env GOROOT)" bin pkg src
head -c 100000000 toolchain.tar >part.tar
echo "$ syncbase --data laptop blob put places part.tar"
ref=$(syncbase --data laptop blob put places part.tar)
echo "$ref"
show syncbase --data laptop put places cities toolchain "{\"file\":{\"\$blob\":\"$ref\"}}"
time until_true 600 is_local server "$ref"
show syncbase --data server blob get places "$ref" --out copy.tar
cmp part.tar copy.tar || surprise "the copy differs"
echo "The server's copy is the same, byte for byte."

say "A stranger, whose certificate comes from another authority, gets nothing"
serve stranger
if syncbase --data stranger syncgroup join places all --peer "$(address laptop)" 2>refusal; then surprise "the stranger was let in"; fi
cat refusal
grep -q trust refusal || surprise "the refusal does not say why"
grep -q refused laptop.log || surprise "the laptop does not log the refusal"
[ -z "$(syncbase --data stranger db list)" ] || surprise "the stranger has a database"
echo "And in the laptop's log:"
grep refused laptop.log | tail -n 1

say "How the laptop sees it all"
show syncbase --data laptop status
