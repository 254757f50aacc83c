#!/bin/sh
# Install those of the distribution's packages that the base lacks: a base that has them all needs no package mirror.
set -eu
missing=""
for package in "$@"; do
    status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" || status=""
    if [ "$status" != installed ]; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi
apt-get update
# shellcheck disable=SC2086  # one word for each package
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
rm -rf /var/lib/apt/lists/*
