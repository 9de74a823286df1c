#!/usr/bin/env python3
"""Plants bugs in the CUDA text that gradc generates and expects the simulated device to catch each of them.

mutants.py GRADC SIMULATOR_FOLDER: the product runs a program on the simulated device, which takes a cubin's PTX from
CUDASIM_PTX_DIR. There the PTX of the mutated text is put in its place: the product's launches run the mutated kernels. Caught
means a report of the device or a result that differs from the interpreter's.
"""
import argparse
import ctypes
import glob
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ARCH = "80"
# Programs whose factors are rounded: how `gradc run` computes and compares them.
EXACT = ["--rtol", "1e-4", "--atol", "1e-4"]
OPTIONS = {"tensor_cores": ["--precision", "tf32", "--rtol", "2e-2", "--atol", "2e-2"]}
# (Sums go to where an even number of groups of slabs left nothing to be read: there the barrier between is not missed, so it is
# taken away only where there are other numbers.)
# Program, or program/kernel whose text alone is changed; what is wrong; pattern in the generated text; replacement, or what makes it of the match.
MUTANTS = [
    ("reductions", "a missing barrier between writing and reading a column's sums", r"__syncthreads\(\);\n(  const float c_part)", r"\1"),
    ("reductions", "a missing barrier in the transpose", r"__syncthreads\(\);\n(  if \(block2)", r"\1"),
    ("reductions", "a wrong stride of the transpose's tile", r"tile\[tile_y \* 33 \+ tile_x\] =", "tile[tile_y * 32 + tile_x] ="),
    ("reductions", "an off-by-one bound in the transpose", r"tile_x < 37 && block3", "tile_x <= 37 && block3"),
    ("reductions", "an off-by-one clamp of a row", r"row < 37 \? row : 36", "row < 37 ? row : 37"),
    ("reductions", "one step of a shuffle tree too few", r"for \(int h = 8; h > 0", "for (int h = 4; h > 0"),
    ("reductions", "a member mask of half a warp", r"__shfl_xor_sync\(0xffffffffu", "__shfl_xor_sync(0x0000ffffu"),
    ("reductions", "one step of a loop over rows too few", r"for \(int k = 0; k < 3; \+\+k\)", "for (int k = 0; k < 2; ++k)"),
    ("reductions", "a wrong stride of rows", r"y\[k \* 1600 \+", "y[k * 1632 +"),
    ("reductions", "sums stored behind shared memory", r"c_shared\[threadIdx\.x\] =", "c_shared[threadIdx.x + 32] ="),
    ("reductions", "blocks that overlap", r"t_out\[block3 \* 1184", "t_out[block3 * 1147"),
    ("reductions", "an accumulator that begins with one", r"float c_part = 0\.0f", "float c_part = 1.0f"),
    ("maps", "a vector that is not aligned", r"\(x \+ i \* 4\)", "(x + i * 4 + 1)"),
    ("maps", "a bound that lets a thread past the end", r"if \(i < 1021\)", "if (i < 1022)"),
    ("maps", "a vector that is stored twice and one that is not", r"\(y_out \+ i \* 4\)", "(y_out + (i | 1) * 4)"),
    ("products", "a wait for too few copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", "async_wait<2>();"),
    ("products", "a missing barrier after the wait", r"(\{\n\s*async_wait<\d>\(\);\n)\s*__syncthreads\(\);\n", r"\1"),
    ("products", "a buffer too few", r"fill == (\d+) \? 0", lambda m: f"fill == {int(m[1]) // 2} ? 0"),
    ("products", "one step of depth too many", r"slab == 12 \? 8|there1 = \w+ < 200", lambda m: m[0].replace("8", "9").replace("200", "201")),
    ("products", "a group that is not committed", r"\n\s*async_commit\(\);\n(\s*if \(group)", r"\n\1"),
    ("reductions", "a dropped predicate in the transpose", r"tile_x < 37 && (block3)", r"\1"),
    ("products", "a wrong stride of the epilogue", r"y_out\[r \* 90", "y_out[r * 91"),
    ("products", "a dropped predicate of the epilogue", r"if \(c < 90\)", "if (true)"),
    ("convolutions/conv2d_2x12", "forward: a missing barrier after the wait", r"(async_wait<\d>\(\);\n\s*)is_holey = __syncthreads_or\(holes & (\d)u\);", r"\1is_holey = (holes & \2u) != 0;"),
    ("convolutions/conv2d_2x12", "forward: a missing barrier before the tile is used again", r"(\}\n\s*async_wait<0>\(\);\n)\s*__syncthreads\(\);\n", r"\1"),
    ("convolutions/conv2d_2x12", "forward: a missing barrier between sums and epilogue", r"__syncthreads\(\);\n(  \{\n)", r"\1"),
    ("convolutions/conv2d_2x12", "forward: a wait for too few copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", "async_wait<2>();"),
    ("convolutions/conv2d_2x12", "forward: no wait for copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", r""),
    ("convolutions/conv2d_2x12", "forward: an off-by-one bound", r"if \(c < 98\)", r"if (c < 99)"),
    ("convolutions/conv2d_2x12", "forward: a group that is not committed", r"\n\s*async_commit\(\);\n", "\n"),
    ("convolutions/conv2d_2x12", "forward: a wrong stride", r"y_out\[c1 \* 588", r"y_out[c1 * 578"),
    ("convolutions/conv2d_2x12", "forward: a dropped predicate of the taps", r"unsigned\(h \+ dh\) < 7 && ", r""),
    ("convolutions/conv2d_2x12", "forward: a dropped predicate of the filters", r"if \(r < 12\)", r"if (true)"),
    ("convolutions/conv2d_grad_input", "backward-data: a missing barrier after the wait", r"(async_wait<\d>\(\);\n\s*)is_holey = __syncthreads_or\(holes & (\d)u\);", r"\1is_holey = (holes & \2u) != 0;"),
    ("convolutions/conv2d_grad_input", "backward-data: a missing barrier between sums and epilogue", r"__syncthreads\(\);\n(  \{\n)", r"\1"),
    ("convolutions/conv2d_grad_input", "backward-data: a wait for too few copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", "async_wait<2>();"),
    ("convolutions/conv2d_grad_input", "backward-data: no wait for copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", r""),
    ("convolutions/conv2d_grad_input", "backward-data: an off-by-one bound", r"if \(c < 98\)", r"if (c <= 98)"),
    ("convolutions/conv2d_grad_input", "backward-data: a wrong stride", r"dx_out\[c1 \* 343", r"dx_out[c1 * 336"),
    ("convolutions/conv2d_grad_input", "backward-data: a dropped predicate of the taps", r" && unsigned\(w1 - dw\) < 7", r""),
    ("convolutions/conv2d_grad_input", "backward-data: a tap in the padding that counts", r"holes << 1 \| !is_whole;", r"holes << 1;"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a missing barrier after the wait", r"(async_wait<\d>\(\);\n\s*)is_holey = __syncthreads_or\(holes & (\d)u\);", r"\1is_holey = (holes & \2u) != 0;"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a missing barrier before the tile is used again", r"(\}\n\s*async_wait<0>\(\);\n)\s*__syncthreads\(\);\n", r"\1"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a missing barrier between sums and epilogue", r"__syncthreads\(\);\n(  \{\n)", r"\1"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a wait for too few copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", "async_wait<2>();"),
    ("convolutions/conv2d_grad_weight", "backward-weights: no wait for copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", r""),
    ("convolutions/conv2d_grad_weight", "backward-weights: an off-by-one bound", r"if \(c < 63\)", "if (c < 64)"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a wrong stride", r"(channel|n) \* 49", r"\1 * 48"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a wrong image", r"example \* 343", r"example * 336"),
    ("convolutions/conv2d_grad_weight", "backward-weights: a dropped predicate of the filters", r"if \(r < 12\)", r"if (true)"),
    ("tensor_cores/matmul", "mma: a missing barrier after the wait", r"(\{\n\s*async_wait<\d>\(\);\n)\s*__syncthreads\(\);\n", r"\1"),
    ("tensor_cores/matmul", "mma: a wait for too few copies", r"(?<=\{\n)\s*async_wait<\d>\(\);", "async_wait<2>();"),
    ("tensor_cores/matmul", "mma: a step of depth too many", r"step < 16; step \+= 8", r"step < 24; step += 8"),
    ("tensor_cores/matmul", "mma: a wrong stride of a fragment", r"\(lane & 3\) \* ([12])", lambda m: f"(lane & 3) * {3 - int(m[1])}"),
    ("tensor_cores/matmul", "mma: a dropped predicate of the rows", r"if \(r < 70\)", r"if (true)"),
    ("tensor_cores/matmul", "mma: a segment that begins with the first slab", r"first_slab \* 16", "0"),
    ("tensor_cores/matmul", "mma: a segment that runs into the next", r"min\(4, 13 - first_slab\)", "13 - first_slab"),
    ("tensor_cores/matmul", "mma: segments that lie on each other", r"product \* 6300", "product * 6000"),
    ("tensor_cores/matmul", "mma: a sum without the last segment", r"int s = 1; s < 4", "int s = 1; s < 3"),
    ("tensor_cores/conv2d", "mma: an off-by-one bound of the pixels", r"if \(c < 162\)", r"if (c < 163)"),
    ("tensor_cores/conv2d", "mma: a dropped predicate of the taps", r"unsigned\(h \+ dh\) < 9 && ", r""),
    ("pools/window_max_grad", "pooling: an off-by-one bound of the winners", r"i < 240", r"i <= 240"),
    ("pools/window_max_grad", "pooling: a wrong stride of the winners", r"i1 \* 81", r"i1 * 80"),
    ("pools/window_max_grad", "pooling: a winner of another tap", r"== 8\)", r"== 7)"),
    ("pools/window_max_grad", "pooling: a dropped predicate of the border", r"if \(i1 < 7 && i2 < 7\)", r"if (true)"),
    ("pools", "pooling: a dropped predicate of the grid", r"if \(i < 1215\)", r"if (true)"),
    ("chains", "chains: a missing barrier between a tile and its sums", r"    __syncthreads\(\);\n(  \}\n  const float \w+ = tree16)", r"\1"),
    ("chains", "chains: a tile that lies on the one before", r"% 2;", r"% 1;"),
    ("chains", "chains: a tile too few", r"tile <= (\d+); \+\+tile", lambda m: f"tile < {m[1]}; ++tile"),
    ("chains", "chains: an off-by-one bound of a tile", r"\* 128 \+ thread < 1600\)", r"* 128 + thread < 1601)"),
    ("loss", "loss: a missing barrier before the maximum", r"__syncthreads\(\);\n(  if \(thread < 7\) \{\n#pragma unroll 16\n    for)", r"\1"),
    ("loss", "loss: a missing barrier before the exponentials", r"(_sums\[thread\] = \w+;\n  \}\n)  __syncthreads\(\);\n", r"\1"),
    ("loss", "loss: an off-by-one bound of the classes", r"t1 < 10;", r"t1 < 9;"),
    ("loss", "loss: an off-by-one bound of the elements", r"if \(thread < 70\)", r"if (thread < 71)"),
    ("loss", "loss: a wrong stride of the terms", r"thread \* 10 \+ t\]", r"thread * 11 + t]"),
    ("loss", "loss: a dropped predicate of the rows", r"if \(thread < 7\)", r"if (true)"),
    ("update", "update: an off-by-one bound of the weights", r"i < 1020", r"i <= 1020"),
    ("update", "update: a wrong stride of the gradients", r"k \* 10 \+", r"k * 11 +"),
    ("update", "update: a dropped predicate of the bias", r"if \(column < 10\)", r"if (true)"),
    ("update", "update: a bound of the clamp", r"column < 10 \? column : 9", r"column < 10 ? column : 10"),
    ("update", "update: a launch whose second part begins a block too late", r"block -= 1;", r""),
]


def nvrtc():
    folders = [""] + [f"{root}/lib64/" for root in [os.environ.get("CUDA_PATH", "")] + sorted(glob.glob("/usr/local/cuda*"), reverse=True) if root]
    for folder in folders:
        for builtins in glob.glob(folder + "libnvrtc-builtins.so.*") if folder else []:
            try:
                ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                pass
        for name in ["libnvrtc.so.13", "libnvrtc.so.12"]:
            try:
                return ctypes.CDLL(folder + name)
            except OSError:
                pass
    return None


def compile_ptx(library, text):
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"mutant.cu", 0, None, None)
    options = [f"--gpu-architecture=compute_{ARCH}".encode(), b"--std=c++17", b"--fmad=false", b"--no-cache"]
    code = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    what = ("nvrtcGetPTXSize", "nvrtcGetPTX") if code == 0 else ("nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
    getattr(library, what[0])(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(library, what[1])(program, buffer)
    if code != 0:
        raise SystemExit(f"NVRTC refuses a mutant:\n{buffer.value.decode()}")
    return buffer.value


class Bench:
    def __init__(self, gradc, simulator, library, scratch):
        self.gradc, self.library, self.scratch = gradc, library, pathlib.Path(scratch)
        self.environment = dict(os.environ, LD_LIBRARY_PATH=simulator, CUDASIM_PROFILE=f"sm_{ARCH}", GRADC_CACHE_DIR=str(self.scratch / "cache"))
        self.programs = {}

    def run(self, program, folder, **more):
        command = [self.gradc, "run", "--threads", "1", str(HERE / f"{program}.gir"), "--fill", "random", "--backend", "cuda", "--compare", "interp"]
        command += OPTIONS.get(program, EXACT)
        return subprocess.run(command, capture_output=True, text=True, env=dict(self.environment, CUDASIM_PTX_DIR=str(folder), **more))

    # The generated text and the names of the PTX files that its run looks for.
    def prepare(self, program):
        if program in self.programs:
            return self.programs[program]
        folder = self.scratch / program
        folder.mkdir()
        result = self.run(program, folder, GRADC_CUDA_PTX_DIR=str(folder))
        if result.returncode != 0:
            raise SystemExit(f"{program} fails without a mutation:\n{result.stderr}")
        emit = [self.gradc, "compile", str(HERE / f"{program}.gir"), "--device", "cuda", "--arch", f"sm_{ARCH}", "--emit", "cuda", "-o", "-"]
        emit += [word for word in OPTIONS.get(program, []) if word in ("--precision", "tf32")]
        text = subprocess.run(emit, capture_output=True, text=True, check=True).stdout
        files = sorted(folder.glob("*.ptx"))
        lines = compile_ptx(self.library, text).splitlines(keepends=True)
        ptx = b"".join(line for line in lines if not line.startswith(b"\t// "))  # as gradc drops them
        if len(files) != 1 or ptx != files[0].read_bytes().rstrip(b"\0"):
            raise SystemExit(f"{program}: the text that gradc emits is not the text that it runs")
        self.programs[program] = text, files[0].name
        return self.programs[program]

    # What caught the mutant, None if nothing did.
    def caught(self, number, where, pattern, replacement):
        program, _, kernel = where.partition("/")
        text, name = self.prepare(program)
        begin = re.search(rf"__forceinline__ void {kernel}\w*\(", text).start() if kernel else 0
        mutated, count = re.subn(pattern, replacement, text[begin:], count=1)
        mutated = text[:begin] + mutated
        if count == 0:
            raise SystemExit(f"{where}: nothing matches {pattern!r}: the generator has changed, change the mutant with it")
        folder = self.scratch / f"mutant{number}"
        folder.mkdir()
        (folder / name).write_bytes(compile_ptx(self.library, mutated))
        result = self.run(program, folder)
        if result.returncode == 0:
            return None
        reports = [line for line in result.stderr.splitlines() if "PTX line" in line or "differ" in line]
        return reports[0].strip() if reports else f"exit code {result.returncode}: {result.stderr[:200]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gradc")
    parser.add_argument("simulator")
    arguments = parser.parse_args()
    library = nvrtc()
    if library is None:
        print("skipped: no libnvrtc in the loader's path, $CUDA_PATH/lib64 or /usr/local/cuda*/lib64")
        return 0
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments.gradc, arguments.simulator, library, scratch)
        for number, (program, what, pattern, replacement) in enumerate(MUTANTS):
            report = bench.caught(number, program, pattern, replacement)
            survivors += report is None
            print(f"{'caught' if report else 'SURVIVED'}: {what} ({program})" + (f"\n    {report[:300]}" if report else ""), flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
