# A machine with Debian's own Asterisk on it, for the commands of a page of docs/. It has namespaces of its own: its
# network is empty, and its /etc and Asterisk's folders are copies. Nothing else changes, and all of it ends with us.
#
# DEBIAN  the root of a Debian with Asterisk in it       WORK  an empty folder
# KEEP    folders that every user there may enter        BIN   the folder that callguard is in
# The commands are on standard input.
set -euo pipefail

mount --make-rprivate /
python3 - <<'UP'
import fcntl, socket, struct
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
UP

here=$WORK/root
mkdir "$here"
mount --rbind / "$here"
there=$here
if [ "$DEBIAN" != / ]; then
  mount --bind "$DEBIAN" "$here/mnt"
  there=$here/mnt
fi
both() { # put the folder WORK/$1 in the place $2 of this machine, as callguard and as Asterisk sees it
  mount --bind "$WORK/$1" "$here$2"
  [ "$there" = "$here" ] || mount --bind "$WORK/$1" "$there$2"
}
mkdir "$WORK"/{lib,spool,log,run}
cp -a "$DEBIAN/etc" "$WORK/etc"
for each in lib spool log; do cp -a "$DEBIAN/var/$each/asterisk" "$WORK/$each/"; done
for each in lib spool log; do both "$each" "/var/$each"; done
both etc /etc
install -d --owner="$(stat -c %u "$WORK/lib/asterisk")" --group="$(stat -c %g "$WORK/lib/asterisk")" "$WORK/run/asterisk"
mount --bind "$WORK/run" "$there/run"

for folder in $KEEP; do
  above=$folder
  while above=$(dirname "$above") && [ "$above" != / ]; do
    [ -n "$(find "$here$above" -maxdepth 0 -perm -o+x)" ] || mount -t tmpfs -o mode=755 tmpfs "$here$above"
  done
  mkdir -p "$here$folder"
  mount --bind "$folder" "$here$folder"
done

mount -t tmpfs -o mode=755 tmpfs "$here/srv"
ln -s "$BIN/callguard" "$here/srv/callguard"
if [ "$there" != "$here" ]; then
  printf '#!/bin/sh\nexec chroot /mnt asterisk "$@"\n' >"$here/srv/asterisk"
  chmod 755 "$here/srv/asterisk"
fi
exec chroot "$here" env --chdir=/ PATH="/srv:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" bash -euxo pipefail
