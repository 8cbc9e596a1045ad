# shellcheck shell=bash
# Shared by docker/cluster, docker/test and docker/demo: the engine, the base images, the images, a cluster.
# Source it. Plain `docker` commands only: no compose, no buildx needed. All output for people goes to stderr.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STAGE=$ROOT/docker/.stage
VERSIONS=(22.05 24.11 26.05)

say() { printf '%s\n' "flexlon: $*" >&2; }
die() { say "$@"; exit 1; }

# suite_of VERSION: the Debian suite whose Slurm package is that version.
suite_of() {
    case $1 in
        22.05) echo bookworm ;;
        24.11) echo trixie ;;
        26.05) echo forky ;;
        *) die "Slurm $1 is not one of: ${VERSIONS[*]}" ;;
    esac
}

# ---- the engine

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

start_engine() {
    if [ -d /run/systemd/system ]; then
        systemctl start docker
    else
        mkdir -p /var/log
        # In a subshell that ends at once: no child of this script, so that no `wait` waits for it.
        (setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &)
    fi
    for _ in $(seq 120); do
        engine_answers && return 0
        sleep 0.5
    done
    return 1
}

# ensure_engine: a Docker engine that answers, or the reason why there is none and what to do.
ensure_engine() {
    engine_answers && return 0
    if command -v docker >/dev/null && [ "$(id -u)" != 0 ]; then
        die "no Docker engine answers for user $(id -un)." \
            "Start it (sudo systemctl start docker) and join its group (sudo usermod -aG docker $(id -un)), or run this as root."
    fi
    [ "$(id -u)" = 0 ] || die "there is no Docker here, and only root can install it." \
        "Run this once as root, or install your system's Docker engine and start it."
    if ! command -v dockerd >/dev/null; then
        # shellcheck source=/dev/null
        . /etc/os-release 2>/dev/null || true
        case " ${ID:-} ${ID_LIKE:-} " in
            *" debian "* | *" ubuntu "*) ;;
            *) die "there is no Docker engine here, and this is not Debian or Ubuntu: install one (https://docs.docker.com/engine/install) and start it." ;;
        esac
        say "no Docker engine here: installing docker.io, iptables and debootstrap with apt"
        apt-get -q update >&2 || die "apt-get update failed: install a Docker engine by hand"
        DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            docker.io iptables debootstrap ca-certificates >&2 || die "apt-get could not install docker.io"
        # Debian's client is a package of its own from trixie on.
        command -v docker >/dev/null || apt-get -q install -y --no-install-recommends docker-cli >&2 \
            || die "apt-get could not install docker-cli"
    fi
    say "no Docker engine answers: starting it"
    start_engine || die "dockerd did not start; its log: /var/log/dockerd.log or journalctl -u docker"
    say "the Docker engine is up"
}

# ---- base images

# ensure_base SUITE: debian:SUITE-slim, pulled, or made from the same packages under the same name.
ensure_base() {
    local suite=$1 tag=debian:$1-slim began=$SECONDS
    docker image inspect "$tag" >/dev/null 2>&1 && return 0
    if timeout 300 docker pull -q "$tag" >/dev/null 2>&1; then
        say "base image $tag: pulled in $((SECONDS - began)) s"
        return 0
    fi
    say "base image $tag: cannot be pulled; making it with debootstrap"
    [ "$(id -u)" = 0 ] || die "only root can run debootstrap: run this as root once, or make 'docker pull $tag' work"
    command -v debootstrap >/dev/null || {
        say "installing debootstrap with apt"
        { apt-get -q update && apt-get -q install -y --no-install-recommends debootstrap; } >&2 \
            || die "debootstrap is missing and apt-get could not install it"
    }
    bootstrap "$suite" "$tag"
    say "base image $tag: made in $((SECONDS - began)) s"
}

# bootstrap SUITE TAG: from the mirror that debootstrap itself prefers, or from DEBIAN_MIRROR.
bootstrap() {
    local suite=$1 tag=$2 work tool=${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    if ! [ -e "$keyring" ]; then
        say "installing debian-archive-keyring with apt"
        { apt-get -q update && apt-get -q install -y debian-archive-keyring; } >&2 \
            || die "debian-archive-keyring is missing: Debian's packages cannot be verified without it"
    fi
    work=$(mktemp -d)
    # Suites differ by name only: one that debootstrap does not know yet is made like sid, by a script of its
    # name in a copy of debootstrap's own folder.
    if ! [ -e "$tool/scripts/$suite" ]; then
        cp -a "$tool" "$work/debootstrap"
        tool=$work/debootstrap
        ln -s sid "$tool/scripts/$suite"
    fi
    DEBOOTSTRAP_DIR=$tool debootstrap --variant=minbase --include=ca-certificates --keyring="$keyring" \
        "$suite" "$work/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 \
        || { tail -n 20 "$work/log" >&2; die "debootstrap $suite failed; its log: $work/log"; }
    rm -rf "$work/root/var/cache/apt/archives/"*.deb "$work/root/var/lib/apt/lists/"*
    tar -C "$work/root" -c . | docker import - "$tag" >/dev/null || die "docker import $tag failed"
    rm -rf "$work"
}

# ---- images

# image_of VERSION: a tag of this checkout's own, so that a build elsewhere cannot change a run under way here.
CHECKOUT=$(cksum <<<"$ROOT" | cut -d' ' -f1)
image_of() { echo "flexlon:$1-$CHECKOUT"; }

# stage: what the Dockerfile takes from this machine. Behind a proxy that inspects TLS, pip in a container
# needs the CA bundle that this machine uses; elsewhere the file is empty and nothing changes.
stage() {
    local bundle=${PIP_CERT:-${SSL_CERT_FILE:-}}
    mkdir -p "$STAGE"
    if [ -n "$bundle" ] && [ -s "$bundle" ]; then
        cmp -s "$bundle" "$STAGE/ca.pem" || cp "$bundle" "$STAGE/ca.pem"
    elif ! [ -e "$STAGE/ca.pem" ] || [ -s "$STAGE/ca.pem" ]; then
        : >"$STAGE/ca.pem"
    fi
}

# build VERSION: the image, from the live tree. Quiet when it works; the whole log when it does not.
build() {
    local version=$1 suite began=$SECONDS log arguments=() name
    suite=$(suite_of "$version")
    ensure_base "$suite"
    stage
    [ "$suite" != forky ] || arguments+=(--build-arg CHECK_VALID_UNTIL=false)
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [ -z "${!name:-}" ] || arguments+=(--build-arg "$name")
    done
    log=$(mktemp)
    if ! docker build --build-arg "BASE=debian:$suite-slim" "${arguments[@]}" \
        -t "$(image_of "$version")" -f "$ROOT/docker/Dockerfile" "$ROOT" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die "the image for Slurm $version could not be built; the whole log: $log"
    fi
    rm -f "$log"
    say "image $(image_of "$version"): built in $((SECONDS - began)) s"
}

# ---- a cluster: containers flexlon-NAME-{ctl,n1,n2,n3}, a network, three volumes

HOSTS=(ctl n1 n2 n3)
MARKET_HOSTS=(grid battery)  # of docker/demo --market, beside the cluster

# container NAME HOST
container() { echo "flexlon-$1-$2"; }

check_name() {
    [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,20}$ ]] || die "cluster name '$1': use up to 21 of a-z, 0-9, -"
}

cluster_down() {
    local name=$1 host removals=()
    for host in "${HOSTS[@]}" "${MARKET_HOSTS[@]}"; do
        docker rm -f -v "$(container "$name" "$host")" >/dev/null 2>&1 &
        removals+=($!)
    done
    # These only: the engine may be a child of this script too, and it does not end.
    wait "${removals[@]}" || true
    docker network rm "flexlon-$name" >/dev/null 2>&1 || true
    docker volume rm "flexlon-$name-etc" "flexlon-$name-state" "flexlon-$name-home" \
        "flexlon-$name-market" >/dev/null 2>&1 || true
}

cluster_exists() { docker container inspect "$(container "$1" ctl)" >/dev/null 2>&1; }

# run_host NAME IMAGE HOST ROLE [docker run arguments...]
run_host() {
    local name=$1 image=$2 host=$3 role=$4
    shift 4
    docker run -d --name "$(container "$name" "$host")" --label "flexlon.cluster=$name" \
        --hostname "$host" --network "flexlon-$name" --network-alias "$host" \
        --cap-add MKNOD --cap-add SYS_NICE \
        -v "flexlon-$name-etc:/etc/slurm" -v "flexlon-$name-state:/var/spool/slurmctld" \
        -v "flexlon-$name-home:/home" "$@" "$image" "$role" >/dev/null
}

# cluster_up NAME VERSION SCHED: containers started; does not wait. CLUSTER and DBD go to docker/image/slurm-conf.
cluster_up() {
    local name=$1 version=$2 sched=$3 image volume shared extra=()
    image=$(image_of "$version")
    cluster_exists "$name" && die "cluster '$name' is up already: docker/cluster down --name $name"
    cluster_down "$name"
    docker network create "flexlon-$name" >/dev/null || die "cannot make the network flexlon-$name"
    for volume in etc state home; do
        docker volume create --label "flexlon.cluster=$name" "flexlon-$name-$volume" >/dev/null
    done
    if [ -d "$ROOT/../shared" ]; then
        shared=$(cd "$ROOT/../shared" && pwd)
        # Beside /opt/flexlon-src too, where the tests that can use it look.
        extra+=(-v "$shared:/shared:ro" -v "$shared:/opt/shared:ro")
    fi
    if [ "${MARKET:-no}" = yes ]; then
        docker volume create --label "flexlon.cluster=$name" "flexlon-$name-market" >/dev/null
        extra+=(-v "flexlon-$name-market:/market")
    fi
    # systemd as the first process: it mounts and makes cgroups inside its own namespaces only.
    run_host "$name" "$image" ctl controller -e "SCHED=$sched" -e CLUSTER -e DBD \
        --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --cgroupns=private --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec,mode=1777 \
        -v "$ROOT:/src:ro" "${extra[@]}" || die "the controller's container did not start"
    run_host "$name" "$image" n1 node -e BACKUP=1 || die "n1 did not start"
    run_host "$name" "$image" n2 node || die "n2 did not start"
    run_host "$name" "$image" n3 node || die "n3 did not start"
}

# market_up NAME VERSION: the hosts of the market beside the cluster, each with one flexlond without Slurm; it
# starts when its configuration is there.
market_up() {
    local name=$1 image host
    image=$(image_of "$2")
    for host in "${MARKET_HOSTS[@]}"; do
        # shellcheck disable=SC2016 # the container's shell expands it
        docker run -d --name "$(container "$name" "$host")" --label "flexlon.cluster=$name" \
            --hostname "$host" --network "flexlon-$name" --network-alias "$host" \
            -v "flexlon-$name-market:/market" --entrypoint /bin/sh "$image" -c \
            'until [ -s "/market/$0/flexlon.toml" ]; do sleep 0.5; done
             exec /opt/flexlon/bin/flexlond run --config "/market/$0/flexlon.toml"' "$host" >/dev/null \
            || die "the container of $host did not start"
    done
}

# in_ctl NAME COMMAND...
in_ctl() {
    local name=$1
    shift
    docker exec "$(container "$name" ctl)" "$@"
}

# cluster_wait NAME: until all nodes are idle, slurmdbd answers and the boot is over.
cluster_wait() {
    local name=$1 began=$SECONDS
    while [ $((SECONDS - began)) -lt 90 ]; do
        if in_ctl "$name" /opt/cluster/ready >/dev/null 2>&1; then return 0; fi
        sleep 0.3
    done
    say "the cluster '$name' is not ready after 90 s; what is wrong:"
    in_ctl "$name" /opt/cluster/ready >&2
    in_ctl "$name" systemctl --no-pager --failed >&2
    return 1
}

# ---- tests in it

# sources: the live tree as a tar stream, without what a run leaves behind.
sources() {
    tar -C "$ROOT" --exclude=./.git --exclude=__pycache__ --exclude='./.*_cache' --exclude=./.hypothesis \
        --exclude=./docker/.stage -cf - .
}

# What tests run with inside an image: the tools of the development environment before the system's.
# CI: hypothesis draws the same examples in every run, so that what fails here fails again. By hand it draws new ones.
TEST_ENVIRONMENT=(
    -e CI=true
    -e PYTHONDONTWRITEBYTECODE=1
    -e PATH=/opt/flexlon-dev/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
)

# pytest_in NAME [pytest arguments...]: the live tests, as root in the controller. What runs as a service is
# the product as installed in the image.
pytest_in() {
    local ctl
    ctl=$(container "$1" ctl)
    shift
    sources | docker exec -i "$ctl" tar -C /opt/flexlon-src -xf - || return 1
    docker exec -w /opt/flexlon-src "${TEST_ENVIRONMENT[@]}" "$ctl" \
        python -m pytest -p no:cacheprovider "$@"
}

# tests_or FOLDER... -- ARGUMENT...: the arguments, after the folders unless they name tests themselves.
tests_or() {
    local folders=() word
    while [ "$1" != -- ]; do folders+=("$1"); shift; done
    shift
    for word in "$@"; do [[ $word != tests/* ]] || folders=(); done
    printf '%s\n' "${folders[@]}" "$@"
}
