#!/usr/bin/env bash
# A real MediaWiki of our own on loopback: Debian's package, PHP and SQLite, filled with pages.txt.
#   mediawiki.sh start DIR        sets it up in DIR (made if it is not there), starts it, prints the address of its API
#   mediawiki.sh stop DIR         ends it and removes DIR
#   mediawiki.sh run COMMAND...   starts one in a temporary directory, runs COMMAND with SYNTHWRIGHT_MEDIAWIKI set to
#                                 the address, and stops it
set -euo pipefail
HERE="$(cd "$(dirname "$0")" && pwd)"
TREE="/usr/share/mediawiki"
PACKAGES=(mediawiki php-cli php-sqlite3 php-mbstring php-xml php-intl)

fail() {
    echo "mediawiki.sh: $*" >&2
    exit 1
}

packages() {
    if [[ -d $TREE ]] && command -v php >/dev/null && php -m | grep -qx pdo_sqlite; then return; fi
    command -v apt-get >/dev/null || fail "needs Debian's packages ${PACKAGES[*]}, and there is no apt-get here"
    [[ $(id -u) == 0 ]] || fail "the packages ${PACKAGES[*]} are missing and installing them needs root: run" \
        "'apt-get install --no-install-recommends ${PACKAGES[*]}' as root once"
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -q && apt-get install -q -y --no-install-recommends "${PACKAGES[@]}"
    } >&2 || fail "apt-get could not install ${PACKAGES[*]}; is a Debian mirror in reach?"
}

free_port() { php -r '$s = stream_socket_server("tcp://127.0.0.1:0"); echo preg_replace("/.*:/", "", stream_socket_get_name($s, false));'; }

install_wiki() { # DIR PORT
    local wiki="$1/wiki"
    mkdir -p "$wiki/extensions" "$1/data"
    for part in api.php autoload.php composer.json includes index.php languages load.php maintenance resources vendor; do
        cp -rL "$TREE/$part" "$wiki/"
    done
    mkdir -p "$wiki/skins" "$wiki/cache" "$wiki/images"
    cp -rL /var/lib/mediawiki/extensions/{Cite,TextExtracts} "$wiki/extensions/"
    php "$wiki/maintenance/install.php" --dbtype sqlite --dbpath "$1/data" --dbname wiki --server "http://127.0.0.1:$2" \
        --scriptpath "" --pass "$(php -r 'echo bin2hex(random_bytes(12));')" "Test wiki" Admin >"$1/install.log" 2>&1 ||
        fail "install.php failed: $(tail -5 "$1/install.log")"
    cp "$HERE/disambiguation.php" "$wiki/"
    cat "$HERE/LocalSettings.php" >>"$wiki/LocalSettings.php"
}

save_page() { # WIKI TITLE, text on stdin
    php "$1/maintenance/edit.php" --user Admin --summary test --no-rc "$2" >>"$1/edit.log" 2>&1 ||
        fail "cannot save the page $2: $(tail -3 "$1/edit.log")"
}

fill() { # WIKI: pages.txt holds "@@@ Title" and below it the text of the page, again and again
    local title="" text="" line
    while IFS= read -r line || [[ -n $line ]]; do
        if [[ $line == "@@@ "* ]]; then
            [[ -z $title ]] || save_page "$1" "$title" <<<"$text"
            title="${line#@@@ }" text=""
        else
            text+="$line"$'\n'
        fi
    done <"$HERE/pages.txt"
    save_page "$1" "$title" <<<"$text"
    php "$1/maintenance/rebuildtextindex.php" >>"$1/edit.log" 2>&1 || fail "rebuildtextindex.php failed"
    php "$1/maintenance/runJobs.php" >>"$1/edit.log" 2>&1 || fail "runJobs.php failed"
}

start() { # DIR
    packages
    mkdir -p "$1"
    local port api
    port="$(free_port)"
    api="http://127.0.0.1:$port/api.php"
    install_wiki "$1" "$port"
    fill "$1/wiki"
    # one process serves one request: some more, so that a client that holds a connection blocks nobody
    PHP_CLI_SERVER_WORKERS=4 setsid php -S "127.0.0.1:$port" -t "$1/wiki" >"$1/server.log" 2>&1 </dev/null &
    echo $! >"$1/pid"
    for _ in $(seq 100); do
        if php -r 'exit(@file_get_contents($argv[1]) === false ? 1 : 0);' "$api?action=query&format=json"; then
            echo "$api"
            return
        fi
        sleep 0.1
    done
    stop_server "$1"
    fail "the server did not answer at $api: $(tail -3 "$1/server.log")"
}

stop_server() { # DIR; the whole group: workers outlive their parent otherwise
    [[ ! -f $1/pid ]] || kill -- "-$(cat "$1/pid")" 2>/dev/null || true
}

stop() { # DIR
    [[ -f $1/pid && -d $1/wiki ]] || fail "$1 holds no wiki"
    stop_server "$1"
    rm -rf "$1"
}

run() {
    DIRECTORY="$(mktemp -d)"
    trap 'stop_server "$DIRECTORY"; rm -rf "$DIRECTORY"' EXIT
    start "$DIRECTORY" >"$DIRECTORY/url"
    SYNTHWRIGHT_MEDIAWIKI="$(cat "$DIRECTORY/url")" "$@"
}

case "${1:-}" in
start) start "${2:?which directory?}" ;;
stop) stop "${2:?which directory?}" ;;
run) shift && run "${@:?which command?}" ;;
*) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
