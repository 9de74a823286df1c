extern "C" __global__ void oob(const float *a, float *o, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  o[i] = a[i];
}
extern "C" __global__ void mis(const float4 *a, float *o) {
  float4 v = a[threadIdx.x]; // all of it is used, or the load would be narrowed
  o[threadIdx.x] = v.x + v.y + v.z + v.w;
}
extern "C" __global__ void dl(float *o) {
  if (threadIdx.x < 40)
    __syncthreads();
  else {
    while (((volatile float *)o)[0] == 5.f)
      ;
    if (threadIdx.x < 50) {
      __syncthreads();
      o[1] = 2;
    }
  }
  o[threadIdx.x] = 1;
}
extern "C" __global__ void nosync(float *o) {
  __shared__ float s[256];
  int t = threadIdx.x;
  s[t] = t;
  o[t] = s[t < 128 ? t : t - 128];
}
extern "C" __global__ void war(float *o) {
  __shared__ float s[256];
  int t = threadIdx.x;
  s[t] = t;
  __syncthreads();
  float v = s[t] + s[(t + 128) & 255];
  s[t] = v;
  __syncthreads();
  o[t] = s[255 - t];
}
extern "C" __global__ void shoob(float *o) {
  __shared__ float s[32];
  int t = threadIdx.x;
  s[t] = t;
  __syncthreads();
  o[t] = s[31 - (t & 31)];
}
extern "C" __global__ void okdiv(float *o) {
  int t = threadIdx.x;
  float v = t;
  if (t & 1)
    v += __shfl_xor_sync(0xaaaaaaaau, v, 2);
  else
    v *= 2;
  v += __shfl_xor_sync(~0u, v, 1);
  o[t] = v;
}
extern "C" __global__ void overlap(float *o) { o[blockIdx.x * 32 + threadIdx.x] = blockIdx.x; }
// Warps of a block that meet in global memory: without a barrier, and with the barriers that they need.
extern "C" __global__ void globalnosync(const float *a, float *o) {
  int t = threadIdx.x;
  o[t] = 2 * a[t];
  o[t] += o[t ^ 32];
}
extern "C" __global__ void globalsync(const float *a, float *o) {
  int t = threadIdx.x;
  o[t] = 2 * a[t];
  __syncthreads();
  float sum = o[t] + o[t ^ 32];
  __syncthreads();
  o[t] = sum;
}
extern "C" __global__ void globalwar(float *a) {
  int t = threadIdx.x;
  float v = a[(t + 32) & 255];
  a[t] = v;
}
extern "C" __global__ void onewinner(float *o) {
  if (threadIdx.x % 32 == 0)
    o[0] = threadIdx.x;
}
// Compiled as if a and o were apart: loads go through the non-coherent cache.
extern "C" __global__ void shifted(const float *__restrict__ a, float *__restrict__ o, int n) {
  int t = threadIdx.x;
  float v = a[t];
  o[t] = v + 1;
  __syncthreads();
  if (t + 1 < n)
    o[t] += a[t + 1];
}
extern "C" __global__ void nosyncwarp(float *o) {
  __shared__ volatile float s[32];
  int t = threadIdx.x;
  s[t] = t;
  o[t] = s[31 - t];
}
extern "C" __global__ void absent(float *o) {
  float v = threadIdx.x;
  for (int d = 16; d; d >>= 1)
    v += __shfl_xor_sync(~0u, v, d);
  o[threadIdx.x] = v;
}
extern "C" __global__ void endless(volatile float *o) {
  while (o[0] == 0.f)
    ;
}
