import ctypes
import glob
import os
import runpy

import lit.formats

site = runpy.run_path(lit_config.params["site"])

config.name = "gradc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".gir", ".json", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(site["binary_dir"], "tests", "lit")

bin_dir = os.path.join(site["binary_dir"], "bin")
if "roundtrip" in lit_config.params:  # every pass's result is printed, parsed and compared
    config.substitutions.append(("%gradc opt", os.path.join(bin_dir, "gradc") + " opt --roundtrip-each"))
config.substitutions.append(("%gradc", os.path.join(bin_dir, "gradc")))
config.substitutions.append(("%prefix", site["binary_dir"]))
config.substitutions.append(("%examples", os.path.join(site["source_dir"], "examples")))
config.substitutions.append(("%exits", "python3 " + os.path.join(site["source_dir"], "tests", "tools", "exits.py")))
config.environment["PATH"] = os.pathsep.join([bin_dir, site["llvm_tools"], "/usr/bin", "/bin"])
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --dump-input=fail"
config.environment["GRADC_ABORT_ON_INTERNAL"] = "1"
config.environment["GRADC_CACHE_DIR"] = os.path.join(site["binary_dir"], "test-cache")


# CUDA: NVRTC compiles, tests/cudasim executes; with --param device=real the driver of this machine does.
def has_nvrtc():
    for name in ["libnvrtc.so.13", "libnvrtc.so.12"] + glob.glob("/usr/local/cuda*/lib64/libnvrtc.so.1[23]"):
        try:
            ctypes.CDLL(name)
            return True
        except OSError:
            pass
    return False


def why_no_device():
    if real:
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            return f"no CUDA driver: {error}"
    elif not os.path.exists(os.path.join(simulator, "libcuda.so.1")):
        return "the simulated CUDA device is not built"
    return None if "nvrtc" in config.available_features else "no NVRTC: the CUDA toolkit has it, see docs/cuda.md"


real = lit_config.params.get("device") == "real"
simulator = os.path.join(site["binary_dir"], "cudasim")
ptx = os.path.join(site["binary_dir"], "test-cache", "ptx")
os.makedirs(ptx, exist_ok=True)
if has_nvrtc():
    config.available_features.add("nvrtc")
if reason := why_no_device():
    lit_config.note(f"tests of CUDA devices are left out: {reason}")
    config.unsupported = real
else:
    config.available_features.add("cuda-device")
    if not real:
        config.available_features.add("cudasim")
device_env = [] if real else [f"LD_LIBRARY_PATH={simulator}", f"GRADC_CUDA_PTX_DIR={ptx}", f"CUDASIM_PTX_DIR={ptx}"]
if lit_config.params.get("backend") == "cuda":  # the files of exec/ once more, on the device
    config.test_exec_root += "-cuda"
    config.available_features.add("exec-on-cuda")
    config.substitutions.insert(0, ("--backend cpu", "--backend cuda"))
    config.environment.update(entry.split("=", 1) for entry in device_env)
    config.unsupported = "cuda-device" not in config.available_features
config.substitutions.insert(0, ("%device", " ".join(["env", *device_env])))  # for executables
config.substitutions.insert(0, ("%cuda", " ".join(["env", *device_env, os.path.join(bin_dir, "gradc")])))
