"""signal_run.py SIGNAL,… CODE -- COMMAND…: starts the command, sends the signals after its first epoch, and wants CODE."""
import signal
import subprocess
import sys

names, code, command = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[4:]
process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
sent = False
for line in process.stderr:
    print(line, end="")
    if line.startswith("epoch=") and not sent:
        sent = True
        for name in names:
            process.send_signal(getattr(signal, "SIG" + name))
got = process.wait()
if got != code:
    sys.exit(f"exit code {got}, expected {code}")
