#!/bin/sh
# See to it that a RabbitMQ is there to be started: it has no wheel, so it comes from the system's packages.
# Where it cannot be had, say in one line what to do; the contenders that need it will be unavailable.
set -eu

PATH=$PATH:/usr/lib/rabbitmq/bin:/usr/sbin:/opt/homebrew/sbin:/usr/local/sbin:/home/linuxbrew/.linuxbrew/sbin
tried=.venv/.rabbitmq-tried

# SYSTEMD_OFFLINE: the package's scripts would start a RabbitMQ on the standard port, which nobody asked for.
with_apt() {
    $1 env SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive sh -c \
        'apt-get update -qq && apt-get install -qq -y --no-install-recommends rabbitmq-server' >/dev/null &&
        if [ -d /run/systemd/system ]; then $1 systemctl disable --quiet rabbitmq-server; fi
}

with_brew() {
    HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet rabbitmq >/dev/null
}

if [ -n "${DISTQ_AMQP_URL:-}" ] || command -v rabbitmq-server >/dev/null; then
    exit 0
fi

if command -v apt-get >/dev/null; then
    advice="apt-get install rabbitmq-server, as root"
    if [ "$(id -u)" = 0 ]; then
        install="with_apt env"
    elif sudo -n true 2>/dev/null; then
        install="with_apt sudo"
    fi
elif command -v brew >/dev/null; then
    advice="brew install rabbitmq"
    install=with_brew
else
    advice="install RabbitMQ with the system's package manager"
fi

# Once: an attempt that failed, for want of a network perhaps, must not delay every call.
if [ -n "${install:-}" ] && [ ! -e "$tried" ]; then
    touch "$tried"
    echo "make: no RabbitMQ found, installing the system's package" >&2
    if $install; then
        exit 0
    fi
fi
echo "make: no RabbitMQ, its contenders will be unavailable; run: $advice" >&2
