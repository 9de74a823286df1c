"""qemu.py MACHINE CPU COMMAND…: runs a program as on another processor; says so where Debian's qemu-user is not there."""
import shutil
import subprocess
import sys

tool = shutil.which("qemu-" + sys.argv[1])
if not tool:
    print("skipped: needs qemu-user")
else:
    sys.exit(subprocess.run([tool, *(["-cpu", sys.argv[2]] if sys.argv[2] != "-" else []), *sys.argv[3:]]).returncode)
