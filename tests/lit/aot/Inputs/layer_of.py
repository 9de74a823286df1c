"""layer_of.py FILE PREFIX: name and line, as addr2line says them, of the code whose symbol begins with PREFIX."""
import subprocess
import sys

file, prefix = sys.argv[1:]
symbols = (line.split() for line in subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout.splitlines())
address = next(words[0] for words in symbols if words[-1].startswith(prefix))
name, line = subprocess.run(["addr2line", "-f", "-e", file, address], capture_output=True, text=True, check=True).stdout.split()
print(f"{name} at {line}")
