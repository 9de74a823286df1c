"""What the tools that check executables share: commands that must succeed, promises, folders to chroot into."""
import hashlib
import os
import shutil
import subprocess
import sys

_broken = 0


def run(*command, code=0, **more):
    """What the command prints. Ends the test where it ends otherwise; without NVRTC as skipped."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", **more)
    if done.returncode == 6 and code != 6 and "NVRTC, which compiles" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(0)
    if done.returncode != code:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def check(what, good):
    global _broken
    _broken += not good
    print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)


def finish():
    sys.exit(bool(_broken))


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def copy_libraries(program, root):
    """The shared libraries that a program loads, to the same places below another root."""
    for line in run("ldd", program).splitlines():
        library = next((word for word in line.split() if word.startswith("/")), None)
        if library:
            os.makedirs(root + os.path.dirname(library), exist_ok=True)
            shutil.copy(library, root + library)
