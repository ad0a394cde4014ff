# Packages of another Debian suite than this machine's, unpacked but never installed. Sourced by bash scripts.
# The archive and its keys are those of this machine's own apt configuration; only the suite differs.

# suite_open SUITE ARCHITECTURE FOLDER: reads the suite's list of packages into the folder, which suite_close removes.
suite_open() {
    local suite=$1 architecture=$2 archive
    suite_folder=$(realpath -m "$3")
    # The archive of the distribution itself, wherever this machine gets it from.
    archive=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian //p' | head -n 1)
    if [ -z "$archive" ]; then
        echo "${0##*/}: apt knows no Debian archive here; run apt-get update first" >&2
        return 1
    fi
    rm -rf "$suite_folder"
    mkdir -p "$suite_folder"/{state/lists/partial,cache/archives/partial,etc/preferences.d,etc/trusted.gpg.d,download}
    echo "deb $archive $suite main" >"$suite_folder/etc/sources.list"
    touch "$suite_folder/state/status"
    # Proxies and the like come from the machine's own configuration, which is read first. Without the sandbox user,
    # who may not read this folder.
    cat >"$suite_folder/apt.conf" <<END
Dir::State "$suite_folder/state";
Dir::State::status "$suite_folder/state/status";
Dir::Cache "$suite_folder/cache";
Dir::Etc::sourcelist "$suite_folder/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "$suite_folder/etc/preferences.d";
APT::Sandbox::User "root";
APT::Architectures { "$architecture"; };
APT::Update::Error-Mode "any";
Acquire::Retries "3";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
END
    export APT_CONFIG=$suite_folder/apt.conf
    suite_apt apt-get update -qq >&2
}

# The index of packages is kept, also where the machine's own configuration says not to, as in container images.
suite_apt() {
    "$1" -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin "${@:2}"
}

# suite_unpack PACKAGE FOLDER
suite_unpack() {
    (cd "$suite_folder/download" && suite_apt apt-get download -qq "$1" >&2) &&
        dpkg -x "$suite_folder/download/$1"_*.deb "$2"
}

# suite_depends PACKAGE: prints the names of what it depends on.
suite_depends() {
    suite_apt apt-cache depends --no-recommends --no-suggests "$1" | sed -n 's/^ *Depends: //p'
}

# suite_section PACKAGE: prints the section that it is in.
suite_section() {
    suite_apt apt-cache show --no-all-versions "$1" | sed -n 's/^Section: //p'
}

suite_close() {
    rm -rf "$suite_folder"
    unset APT_CONFIG
}
