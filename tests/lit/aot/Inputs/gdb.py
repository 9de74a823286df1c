"""gdb.py FOLDER PLACE COMMAND…: runs a command in a folder under gdb and prints the stack where it first stops at PLACE;
says so where gdb is not there or may not trace."""
import shutil
import subprocess
import sys

folder, place, *command = sys.argv[1:]
if not shutil.which("gdb"):
    print("skipped: needs gdb")
    sys.exit()
said = subprocess.run(["gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "set breakpoint pending off",
                       "-ex", f"break {place}", "-ex", "run", "-ex", "bt 1", "--args", *command],
                      cwd=folder, capture_output=True, text=True)
print(said.stdout)
if "Operation not permitted" in said.stderr:
    print("skipped: may not trace")
