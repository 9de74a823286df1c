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
