// Code for the vectors of the processor at hand.
#pragma once

// A function with this is compiled for several of them, and the loader picks one. Files that use it are compiled with
// -O3 and -ffp-contract=off, so that all of them round as the plain loop does. Stand-alone executables stay small instead.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&     \
    !defined(GRADC_STANDALONE)
#define GRADC_WIDEST_VECTORS __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define GRADC_WIDEST_VECTORS
#endif
