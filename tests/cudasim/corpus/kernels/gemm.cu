// 64x64x16 tile, 256 threads, 4x4 per thread, float4 loads
extern "C" __global__ void __launch_bounds__(256)
    gemm64(const float *__restrict__ A, const float *__restrict__ B, float *__restrict__ C, int M, int N,
           int K, float alpha, float beta) {
  __shared__ __align__(16) float As[16][68];
  __shared__ __align__(16) float Bs[16][64];
  int t = threadIdx.x, tx = t & 15, ty = t >> 4;
  int bm = blockIdx.y * 64, bn = blockIdx.x * 64;
  float acc[4][4] = {};
  int ar = t >> 2, ac = (t & 3) * 4, br = t >> 4, bc = (t & 15) * 4;
  for (int k0 = 0; k0 < K; k0 += 16) {
    float4 av = make_float4(0, 0, 0, 0), bv = av;
    if (bm + ar < M && k0 + ac < K)
      av = *(const float4 *)(A + (size_t)(bm + ar) * K + k0 + ac);
    if (k0 + br < K && bn + bc < N)
      bv = *(const float4 *)(B + (size_t)(k0 + br) * N + bn + bc);
    As[ac][ar] = av.x;
    As[ac + 1][ar] = av.y;
    As[ac + 2][ar] = av.z;
    As[ac + 3][ar] = av.w;
    *(float4 *)&Bs[br][bc] = bv;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++) {
      float4 a = *(float4 *)&As[k][ty * 4], b = *(float4 *)&Bs[k][tx * 4];
      float aa[4] = {a.x, a.y, a.z, a.w}, bb[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
          acc[i][j] += aa[i] * bb[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int r = bm + ty * 4 + i, c = bn + tx * 4;
    if (r < M && c < N) {
      float4 *p = (float4 *)(C + (size_t)r * N + c);
      float4 o = make_float4(alpha * acc[i][0], alpha * acc[i][1], alpha * acc[i][2], alpha * acc[i][3]);
      if (beta != 0.f) {
        float4 q = *p;
        o.x += beta * q.x;
        o.y += beta * q.y;
        o.z += beta * q.z;
        o.w += beta * q.w;
      }
      *p = o;
    }
  }
}
// implicit GEMM conv NCHW: out[n,k,oh,ow]; M=K(out ch), N=n*oh*ow, Kd=C*R*S
extern "C" __global__ void __launch_bounds__(256)
    conv_igemm(const float *__restrict__ X, const float *__restrict__ W, const float *__restrict__ bias,
               float *__restrict__ Y, int N, int C, int H, int Wd, int K, int R, int S, int OH, int OW,
               int stride, int pad) {
  __shared__ float As[16][65];
  __shared__ float Bs[16][64];
  int t = threadIdx.x, tx = t & 15, ty = t >> 4;
  int bm = blockIdx.y * 64, bn = blockIdx.x * 64;
  int KD = C * R * S, NN = N * OH * OW;
  float acc[4][4] = {};
  int bcol = t & 63, bk = t >> 6;
  int p = bn + bcol;
  int n = p / (OH * OW), q = p % (OH * OW);
  int oh = q / OW, ow = q % OW;
  for (int k0 = 0; k0 < KD; k0 += 16) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int e = t + i * 256;
      int kk = e & 15, mm = e >> 4;
      As[kk][mm] = (bm + mm < K && k0 + kk < KD) ? W[(size_t)(bm + mm) * KD + k0 + kk] : 0.f;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int kk = bk + i * 4;
      int kd = k0 + kk;
      int c = kd / (R * S), rs = kd % (R * S);
      int r = rs / S, s = rs % S;
      int ih = oh * stride - pad + r, iw = ow * stride - pad + s;
      float v = 0;
      if (kd < KD && p < NN && (unsigned)ih < (unsigned)H && (unsigned)iw < (unsigned)Wd)
        v = X[(((size_t)n * C + c) * H + ih) * Wd + iw];
      Bs[kk][bcol] = v;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++) {
      float a[4], b[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        a[i] = As[k][ty * 4 + i];
        b[i] = Bs[k][tx + 16 * i];
      }
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
          acc[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int m = bm + ty * 4 + i;
    if (m >= K)
      continue;
    float bb = bias ? bias[m] : 0.f;
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int pp = bn + tx + 16 * j;
      if (pp < NN) {
        int nn = pp / (OH * OW), qq = pp % (OH * OW);
        float v = acc[i][j] + bb;
        Y[((size_t)nn * K + m) * OH * OW + qq] = fmaxf(v, 0.f);
      }
    }
  }
}
