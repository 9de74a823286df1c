"""exits.py CODE COMMAND…: runs the command; succeeds if it exits with CODE. Prints what it printed, errors last."""
import subprocess
import sys

done = subprocess.run(sys.argv[2:], capture_output=True, text=True, errors="replace")
print(done.stdout, end="")
print(done.stderr, end="")
if done.returncode != int(sys.argv[1]):
    sys.exit(f"exit code {done.returncode}, not {sys.argv[1]}")
