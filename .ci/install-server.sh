#!/bin/sh
# See to it that a program without a wheel is there to be started: it comes from the system's packages.
# Where it cannot be had, say in one line what to do and what is missing without it.
# usage: install-server.sh rabbitmq-server|pgbouncer|chromium
set -eu

server=$1
case $server in
rabbitmq-server)
    formula=rabbitmq
    without="its contenders will be unavailable"
    given=${DISTQ_AMQP_URL:-}
    ;;
pgbouncer)
    formula=pgbouncer
    without="the tests behind it are skipped"
    given=
    ;;
chromium)
    formula=
    without="the tests of the report's page are skipped"
    given=
    ;;
esac

PATH=$PATH:/usr/lib/rabbitmq/bin:/usr/sbin:/opt/homebrew/sbin:/usr/local/sbin:/home/linuxbrew/.linuxbrew/sbin
tried=.venv/.$server-tried

# SYSTEMD_OFFLINE: the package's scripts would start a server on the standard port, which nobody asked for.
with_apt() {
    $1 env SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive sh -c \
        "apt-get update -qq && apt-get install -qq -y --no-install-recommends $server" >/dev/null &&
        if [ -d /run/systemd/system ] && [ "$server" != chromium ]; then $1 systemctl disable --quiet "$server"; fi
}

with_brew() {
    HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet "$formula" >/dev/null
}

if [ -n "$given" ] || command -v "$server" >/dev/null; then
    exit 0
fi

if command -v apt-get >/dev/null; then
    advice="apt-get install $server, as root"
    if [ "$(id -u)" = 0 ]; then
        install="with_apt env"
    elif sudo -n true 2>/dev/null; then
        install="with_apt sudo"
    fi
elif [ -n "$formula" ] && command -v brew >/dev/null; then
    advice="brew install $formula"
    install=with_brew
else
    advice="install $server with the system's package manager"
fi

# Once: an attempt that failed, for want of a network perhaps, must not delay every call.
if [ -n "${install:-}" ] && [ ! -e "$tried" ]; then
    touch "$tried"
    echo "make: no $server found, installing the system's package" >&2
    if $install; then
        exit 0
    fi
fi
echo "make: no $server, $without; run: $advice" >&2
