#!/usr/bin/env bash
# A headless Chromium for the tests of pages: Debian's packages chromium and chromium-driver.
#   chromium.sh install           installs them if they are missing (needs root)
#   chromium.sh run COMMAND...    the same, then runs COMMAND with SYNTHWRIGHT_CHROMIUM and SYNTHWRIGHT_CHROMEDRIVER set
set -euo pipefail
PACKAGES=(chromium chromium-driver fonts-dejavu-core)

fail() {
    echo "chromium.sh: $*" >&2
    exit 1
}

packages() {
    if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then return; fi
    command -v apt-get >/dev/null || fail "needs Debian's packages ${PACKAGES[*]}, and there is no apt-get here"
    [[ $(id -u) == 0 ]] || fail "the packages ${PACKAGES[*]} are missing and installing them needs root: run" \
        "'apt-get install --no-install-recommends ${PACKAGES[*]}' as root once"
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get update -q && apt-get install -q -y --no-install-recommends "${PACKAGES[@]}"
    } >&2 || fail "apt-get could not install ${PACKAGES[*]}; is a Debian mirror in reach?"
}

run() {
    packages
    SYNTHWRIGHT_CHROMIUM="$(command -v chromium)" SYNTHWRIGHT_CHROMEDRIVER="$(command -v chromedriver)" "$@"
}

case "${1:-}" in
install) packages ;;
run) shift && run "${@:?which command?}" ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
