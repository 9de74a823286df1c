"""arm.py GRADC MODEL PROGRAM FOLDER EXPECTED: the object for AArch64 trains under qemu to the tensors of EXPECTED."""
import os
import shutil
import subprocess
import sys

gradc, model, program, folder, expected = sys.argv[1:]
compiler, qemu = "aarch64-linux-gnu-gcc", "qemu-aarch64"
if not shutil.which(compiler) or not shutil.which(qemu):
    print(f"skipped: needs {compiler} and {qemu} (Debian's gcc-aarch64-linux-gnu, qemu-user)")
    sys.exit()
os.chdir(folder)
for file in ("tiny.o", "tiny.h"):
    subprocess.run([gradc, "compile", model, "--entry", "train", "--target", "aarch64-linux-gnu", "-o", file], check=True)
subprocess.run([compiler, "-std=c11", "-static", "-I.", program, "tiny.o", "-o", "tiny", "-lm"], check=True)
subprocess.run([qemu, "./tiny", ".", "3"], check=True)
sys.exit(subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "same_tensors.py"), "object.ckpt",
                         expected]).returncode)
