#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
extern "C" __global__ void maxpool_fwd(const float *__restrict__ x, float *__restrict__ y,
                                       int *__restrict__ am, int total, int H, int W, int OH, int OW, int kh,
                                       int kw, int sh, int sw, int ph, int pw) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= total)
    return;
  int ow = i % OW, r = i / OW, oh = r % OH, nc = r / OH;
  int h0 = oh * sh - ph, w0 = ow * sw - pw;
  int h1 = min(h0 + kh, H), w1 = min(w0 + kw, W);
  h0 = max(h0, 0);
  w0 = max(w0, 0);
  const float *p = x + (size_t)nc * H * W;
  float m = -INFINITY;
  int mi = -1;
  for (int h = h0; h < h1; h++)
    for (int w = w0; w < w1; w++) {
      float v = p[h * W + w];
      if (v > m || isnan(v)) {
        m = v;
        mi = h * W + w;
      }
    }
  y[i] = m;
  am[i] = mi;
}
extern "C" __global__ void maxpool_bwd(const float *__restrict__ dy, const int *__restrict__ am,
                                       float *__restrict__ dx, int total, int HW, int OHW) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= total)
    return;
  int nc = i / OHW;
  int m = am[i];
  if (m >= 0)
    atomicAdd(dx + (size_t)nc * HW + m, dy[i]);
}
extern "C" __global__ void transpose(const float *__restrict__ x, float *__restrict__ y, int R, int C) {
  __shared__ float s[32][33];
  int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
#pragma unroll
  for (int j = 0; j < 32; j += 8)
    if (c < C && r + j < R)
      s[threadIdx.y + j][threadIdx.x] = x[(size_t)(r + j) * C + c];
  __syncthreads();
  c = blockIdx.y * 32 + threadIdx.x;
  r = blockIdx.x * 32 + threadIdx.y;
#pragma unroll
  for (int j = 0; j < 32; j += 8)
    if (c < R && r + j < C)
      y[(size_t)(r + j) * R + c] = s[threadIdx.x][threadIdx.y + j];
}
__device__ __forceinline__ uint4 philox(uint4 c, uint2 k) {
#pragma unroll
  for (int i = 0; i < 10; i++) {
    unsigned h0 = __umulhi(0xD2511F53u, c.x), l0 = 0xD2511F53u * c.x, h1 = __umulhi(0xCD9E8D57u, c.z),
             l1 = 0xCD9E8D57u * c.z;
    c = make_uint4(h1 ^ c.y ^ k.x, l1, h0 ^ c.w ^ k.y, l0);
    k.x += 0x9E3779B9u;
    k.y += 0xBB67AE85u;
  }
  return c;
}
extern "C" __global__ void dropout(const float4 *__restrict__ x, float4 *__restrict__ y,
                                   unsigned *__restrict__ mask, int n4, float p, float sc,
                                   unsigned long long seed, unsigned long long off) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n4)
    return;
  unsigned long long ctr = off + i;
  uint4 r = philox(make_uint4((unsigned)ctr, (unsigned)(ctr >> 32), 0, 0),
                   make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
  float4 v = x[i];
  const float k = 2.3283064e-10f;
  bool b0 = r.x * k >= p, b1 = r.y * k >= p, b2 = r.z * k >= p, b3 = r.w * k >= p;
  v.x = b0 ? v.x * sc : 0.f;
  v.y = b1 ? v.y * sc : 0.f;
  v.z = b2 ? v.z * sc : 0.f;
  v.w = b3 ? v.w * sc : 0.f;
  y[i] = v;
  unsigned bal = __ballot_sync(__activemask(), b0);
  if ((threadIdx.x & 31) == 0)
    mask[i >> 5] = bal;
}
extern "C" __global__ void randn(float2 *__restrict__ y, int n2, unsigned long long seed) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n2)
    return;
  uint4 r = philox(make_uint4(i, 0, 0, 0), make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
  float u = (r.x >> 8) * 5.9604645e-8f + 2.98e-8f, v = (r.y >> 8) * 5.9604645e-8f;
  float m = sqrtf(-2.f * logf(u));
  float s, c;
  sincospif(2.f * v, &s, &c);
  y[i] = make_float2(m * c, m * s);
}
extern "C" __global__ void embed_bwd(const float *__restrict__ dy, const long long *__restrict__ idx,
                                     float *dw, int n, int D) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n * D)
    return;
  int r = i / D, c = i % D;
  atomicAdd(dw + idx[r] * D + c, dy[i]);
}
extern "C" __global__ void atomics(int *a, unsigned *u, unsigned long long *l, float *f, double *d,
                                   const float *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float v = x[i];
  atomicAdd(a, (int)v);
  atomicMax(a + 1, (int)v);
  atomicMin(a + 2, (int)v);
  atomicOr(u, 1u << (i & 31));
  atomicAnd(u + 1, ~(1u << (i & 31)));
  atomicXor(u + 2, i);
  atomicExch(u + 3, i);
  atomicAdd(l, (unsigned long long)i);
  atomicMax(l + 1, ((unsigned long long)__float_as_uint(v) << 32) | i);
  atomicAdd(d, (double)v);
  unsigned old = __float_as_uint(((volatile float *)f)[0]), as;
  do {
    as = old;
    if (__uint_as_float(as) >= v)
      break;
    old = atomicCAS((unsigned *)f, as, __float_as_uint(v));
  } while (as != old);
}
extern "C" __global__ void bits(const unsigned *x, unsigned *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned v = x[i];
  unsigned r = __popc(v) + __clz(v) + __ffs(v) + __brev(v) + __byte_perm(v, i, 0x1230) +
               __funnelshift_l(v, i, 5) + ((v << 7) | (v >> 25));
  unsigned p = __match_any_sync(~0u, v & 3);
  r += p;
  if (__any_sync(~0u, v > 5))
    r++;
  if (__all_sync(~0u, v > 5))
    r++;
#if __CUDA_ARCH__ >= 800
  r += __reduce_add_sync(~0u, v);
#else
  unsigned sum = v;
  for (int o = 16; o; o >>= 1)
    sum += __shfl_xor_sync(~0u, sum, o);
  r += sum;
#endif
  r += __shfl_sync(~0u, v, 0) + __shfl_up_sync(~0u, v, 1);
  __syncwarp();
  r += __syncthreads_count(v > 3);
  r += __syncthreads_or(v == 9);
  r = __vadd4(r, v) + __dp4a((int)v, (int)r, 3) + __sad(v, r, 1u);
  y[i] = r;
}
extern "C" __global__ void sw(const int *op, const float *a, float *o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float x = a[i];
  switch (op[i]) {
  case 0:
    x = expf(x);
    break;
  case 1:
    x = sinf(x);
    break;
  case 2:
    x = tanhf(x);
    break;
  case 3:
    x = logf(x);
    break;
  case 4:
    x = sqrtf(x);
    break;
  case 5:
    x = x * x;
    break;
  case 6:
    x = 1 / x;
    break;
  case 7:
    x = erff(x);
    break;
  default:
    x = 0;
  }
  o[i] = x;
}
