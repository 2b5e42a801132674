#!/bin/sh
# Requests a URL until the answer is the expected one, the time is up, or the container or service has ended.
#
# Arguments: $1 the URL; $2 the expected status, or `any`; $3 a text that the body must contain, or an empty string; $4
#   the limit in whole seconds; $5 whether to repeat the request (1) or not (0); $6 the main process of
#   the container or service; $7 what to call it.
# Prints: on the last line the status, or 000 if there was no answer; before it, on failure, what curl
#   reported, the beginning of the body, and a sentence if that process has ended.
# Exit codes: 1 the answer was not the expected one, or there was none.

url=$1 want=$2 contains=$3 limit=$4 wait=$5 pid=$6 noun=$7
body=$(mktemp) && trap 'rm -f "$body"' EXIT
end=$(($(date +%s) + limit))
while :; do
  code=$(curl -sSg --noproxy '*' --max-time "$limit" --output "$body" \
    --write-out '%{http_code}' -- "$url" 2>"$body.err")
  case $want,$code in any,[1-9]*) expected=$code ;; *) expected=$want ;; esac
  if [ "$code" = "$expected" ] && { [ -z "$contains" ] || grep -qF -e "$contains" "$body"; }; then
    echo "$code"; rm -f "$body.err"; exit 0
  fi
  { [ "$wait" = 1 ] && [ -e "/proc/$pid" ] && [ "$(date +%s)" -lt "$end" ]; } || break
  sleep 0.2
done
cat "$body.err" 2>/dev/null; head -c 300 "$body"; echo; rm -f "$body.err"
[ -e "/proc/$pid" ] || echo "$noun has ended"
echo "$code"
exit 1
