// Without headers: numbers of 16 bits are unsigned short, their arithmetic is inline assembly.
typedef unsigned short u16;
__device__ __forceinline__ u16 to_half(float x) {
  u16 h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return h;
}
__device__ __forceinline__ float from_half(u16 h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
  return x;
}
#define PAIRS(name, op)                                                                                      \
  __device__ __forceinline__ unsigned name(unsigned a, unsigned b) {                                         \
    unsigned d;                                                                                              \
    asm(op " %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));                                                       \
    return d;                                                                                                \
  }
#define FUSED(name, op)                                                                                      \
  __device__ __forceinline__ unsigned name(unsigned a, unsigned b, unsigned c) {                             \
    unsigned d;                                                                                              \
    asm(op " %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));                                           \
    return d;                                                                                                \
  }
PAIRS(hadd, "add.f16x2")
PAIRS(hsub, "sub.f16x2")
PAIRS(hmul, "mul.f16x2")
FUSED(hfma, "fma.rn.f16x2")
extern "C" __global__ void h_arith(const unsigned *a, const unsigned *b, unsigned *o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned r = hfma(a[i], b[i], hadd(a[i], b[i])), s = hmul(a[i], a[i]);
  float lo = fmaxf(from_half((u16)r), from_half((u16)s)), hi = fmaxf(from_half(r >> 16), from_half(s >> 16));
  o[i] = hsub(to_half(lo) | (unsigned)to_half(hi) << 16, b[i]);
}
#if __CUDA_ARCH__ >= 800
extern "C" __global__ void h_conv(const float *__restrict__ a, u16 *__restrict__ h, u16 *__restrict__ b,
                                  float *__restrict__ o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  u16 hh = to_half(a[i]), bb;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bb) : "f"(a[i]));
  h[i] = hh;
  b[i] = bb;
  o[i] = from_half(hh) + __uint_as_float((unsigned)bb << 16);
}
#endif
#if __CUDA_ARCH__ >= 900
PAIRS(badd, "add.bf16x2")
PAIRS(bmul, "mul.bf16x2")
PAIRS(bmax, "max.bf16x2")
FUSED(bfma, "fma.rn.bf16x2")
extern "C" __global__ void b_arith(const unsigned *a, const unsigned *b, unsigned *o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned r = bfma(a[i], b[i], badd(a[i], b[i]));
  o[i] = bmax(r, bmul(a[i], a[i]));
}
#endif
// ldmatrix and mma.sync, a tile of 16x8 a warp
extern "C" __global__ void mma_f16(const u16 *__restrict__ A, const u16 *__restrict__ B,
                                    float *__restrict__ C, int M, int N, int K) {
  __shared__ __align__(16) u16 As[16 * 16], Bs[16 * 8];
  int l = threadIdx.x;
  float c[4] = {0, 0, 0, 0};
  int m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  for (int k0 = 0; k0 < K; k0 += 16) {
    for (int e = l; e < 256; e += 32)
      As[e] = A[(size_t)(m0 + e / 16) * K + k0 + e % 16];
    for (int e = l; e < 128; e += 32)
      Bs[e] = B[(size_t)(k0 + e / 8) * N + n0 + e % 8];
    __syncwarp();
    unsigned a[4], b[2];
    unsigned pa = (unsigned)__cvta_generic_to_shared(As + (l % 16) * 16 + (l / 16) * 8),
             pb = (unsigned)__cvta_generic_to_shared(Bs + (l % 16) * 8);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(pa));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(b[0]), "=r"(b[1])
                 : "r"(pb));
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    for (int h = 0; h < 2; h++)
      asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                   "{%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
                   : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                   : "r"(a[2 * h]), "r"(a[2 * h + 1]), "r"(b[h]));
#endif
    __syncwarp();
  }
  int g = l / 4, t = l % 4;
  C[(size_t)(m0 + g) * N + n0 + t * 2] = c[0];
  C[(size_t)(m0 + g) * N + n0 + t * 2 + 1] = c[1];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2] = c[2];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2 + 1] = c[3];
}
#if __CUDA_ARCH__ >= 800
extern "C" __global__ void mma_bf16(const u16 *__restrict__ A, const u16 *__restrict__ B,
                                    float *__restrict__ C, int M, int N, int K) {
  __shared__ __align__(16) u16 As[16 * 16], Bs[16 * 8];
  int l = threadIdx.x;
  float c[4] = {0, 0, 0, 0};
  int m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  for (int k0 = 0; k0 < K; k0 += 16) {
    for (int e = l; e < 256; e += 32)
      As[e] = A[(size_t)(m0 + e / 16) * K + k0 + e % 16];
    for (int e = l; e < 128; e += 32)
      Bs[e] = B[(size_t)(k0 + e / 8) * N + n0 + e % 8];
    __syncwarp();
    unsigned a[4], b[2];
    unsigned pa = (unsigned)__cvta_generic_to_shared(As + (l % 16) * 16 + (l / 16) * 8),
             pb = (unsigned)__cvta_generic_to_shared(Bs + (l % 16) * 8);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(pa));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(b[0]), "=r"(b[1])
                 : "r"(pb));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    __syncwarp();
  }
  int g = l / 4, t = l % 4;
  C[(size_t)(m0 + g) * N + n0 + t * 2] = c[0];
  C[(size_t)(m0 + g) * N + n0 + t * 2 + 1] = c[1];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2] = c[2];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2 + 1] = c[3];
}
extern "C" __global__ void mma_tf32(const float *__restrict__ A, const float *__restrict__ B,
                                    float *__restrict__ C, int M, int N, int K) {
  int l = threadIdx.x, g = l / 4, t = l % 4;
  int m0 = blockIdx.y * 16, n0 = blockIdx.x * 8;
  float c[4] = {0, 0, 0, 0};
  for (int k = 0; k < K; k += 8) {
    unsigned a[4], b[2];
    float fa[4] = {A[(size_t)(m0 + g) * K + k + t], A[(size_t)(m0 + g + 8) * K + k + t],
                   A[(size_t)(m0 + g) * K + k + t + 4], A[(size_t)(m0 + g + 8) * K + k + t + 4]},
          fb[2] = {B[(size_t)(k + t) * N + n0 + g], B[(size_t)(k + t + 4) * N + n0 + g]};
    for (int i = 0; i < 4; i++)
      asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(a[i]) : "f"(fa[i]));
    for (int i = 0; i < 2; i++)
      asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(b[i]) : "f"(fb[i]));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
  C[(size_t)(m0 + g) * N + n0 + t * 2] = c[0];
  C[(size_t)(m0 + g) * N + n0 + t * 2 + 1] = c[1];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2] = c[2];
  C[(size_t)(m0 + g + 8) * N + n0 + t * 2 + 1] = c[3];
}
#endif
