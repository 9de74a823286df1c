#!/usr/bin/env python3
"""Fails when a planted bug of tests/mutants no longer fits the source, or does not say what it is and who kills it:
scripts/mutate takes an hour and is run seldom."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def problem(root, patch):
    text = patch.read_text()
    for line in ("What", "Tests"):
        if not re.search(rf"^{line}: \S", text, re.M):
            return f"no line '{line}: …'"
    # Not through a repository that happens to lie around an exported tree: there git would skip every file.
    away = dict(os.environ, GIT_CEILING_DIRECTORIES=str(root.parent), LC_ALL="C")
    done = subprocess.run(["git", "apply", "--check", str(patch)], cwd=root, env=away, capture_output=True, text=True)
    return None if done.returncode == 0 else "the patch no longer applies: " + done.stderr.strip().replace("\n", "; ")


def self_test():
    diff = "--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n a\n-b\n"
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve() / "tree"
        root.mkdir()
        (root / "f").write_text("a\nb\n")
        patch = root / "one.patch"
        patch.write_text("What: a bug\nTests: unit\n\n" + diff)
        assert not problem(root, patch), problem(root, patch)
        patch.write_text("What: a bug\n\n" + diff)
        assert "Tests" in problem(root, patch)
        patch.write_text("What: a bug\nTests: unit\n\n" + diff.replace("-b", "-c"))
        assert "no longer applies" in problem(root, patch)


if __name__ == "__main__":
    if not shutil.which("git"):
        print("skipped: no git, which says whether a patch applies")
        sys.exit()
    self_test()
    root = pathlib.Path(sys.argv[1]).resolve()
    failed = False
    for patch in sorted((root / "tests/mutants").glob("*.patch")):
        why = problem(root, patch)
        if why:
            failed = True
            print(f"{patch.relative_to(root)}: error: {why}")
    sys.exit(failed)
