// Kernels over CUTLASS' CuTe, whose layouts, descriptors and barriers are NVIDIA's. `make_cute.py` compiles them; one text
// for each macro `KERNEL` of the table there. The matrices are K-major: a [M, K], b [N, K], y [M, N] = a @ b.T.
#include <cute/tensor.hpp>
#include <cute/arch/copy_sm90_tma.hpp>
#include <cute/arch/cluster_sm90.hpp>
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cutlass/arch/barrier.h>
#include <cutlass/arch/reg_reconfig.h>

using namespace cute;

// One product of tiles that lie in shared memory as an atom of layouts says: which swizzle, K- or MN-major.
template <class Instruction, class AtomA, class AtomB, int M, int N, int K, class Element, class Sum>
__device__ void once(Element const* a, Element const* b, Sum* y) {
  extern __shared__ __align__(1024) char memory[];
  auto layout_a = tile_to_shape(AtomA{}, Shape<Int<M>, Int<K>>{});
  auto layout_b = tile_to_shape(AtomB{}, Shape<Int<N>, Int<K>>{});
  Element* place_a = reinterpret_cast<Element*>(memory);
  Element* place_b = place_a + (M * K + 1023) / 1024 * 1024;
  Tensor held_a = make_tensor(make_smem_ptr(place_a), layout_a);
  Tensor held_b = make_tensor(make_smem_ptr(place_b), layout_b);
  for (int i = threadIdx.x; i < M * K; i += 128) held_a(i / K, i % K) = a[i];
  for (int i = threadIdx.x; i < N * K; i += 128) held_b(i / K, i % K) = b[i];
  cutlass::arch::fence_view_async_shared();
  __syncthreads();
  auto product = make_tiled_mma(Instruction{});
  auto mine = product.get_thread_slice(threadIdx.x);
  Tensor left = mine.make_fragment_A(mine.partition_A(held_a));
  Tensor right = mine.make_fragment_B(mine.partition_B(held_b));
  Tensor out = mine.partition_C(make_tensor(make_gmem_ptr(y), make_layout(Shape<Int<M>, Int<N>>{}, LayoutRight{})));
  Tensor sum = mine.make_fragment_C(out);
  product.accumulate_ = GMMA::ScaleOut::Zero;
  warpgroup_fence_operand(sum);
  warpgroup_arrive();
  for (int k = 0; k < size<2>(left); ++k) {
    gemm(product, left(_, _, k), right(_, _, k), sum);
    product.accumulate_ = GMMA::ScaleOut::One;
  }
  warpgroup_commit_batch();
  warpgroup_wait<0>();
  warpgroup_fence_operand(sum);
  copy(sum, out);
}

// One warp copies tiles in bulk, a warpgroup multiplies them with A taken to registers and halved there: a ring of
// stages, each with a barrier that counts bytes and one that tells that it is empty again. Tiles lie in device memory as
// in shared memory, `steps` of them one after the other.
template <int M, int N, int K, int Stages>
__device__ void ring(half_t const* a, half_t const* b, float* y, int steps) {
  using Full = cutlass::arch::ClusterTransactionBarrier;
  using Empty = cutlass::arch::ClusterBarrier;
  extern __shared__ __align__(1024) char memory[];
  __shared__ uint64_t counters[2 * Stages];
  Full* full = reinterpret_cast<Full*>(counters);
  Empty* empty = reinterpret_cast<Empty*>(counters + Stages);
  auto tile_a = make_layout(Shape<Int<M>, Int<K>>{}, LayoutRight{});
  auto tile_b = tile_to_shape(GMMA::Layout_K_SW128_Atom<half_t>{}, Shape<Int<N>, Int<K>>{});
  half_t* stages = reinterpret_cast<half_t*>(memory);
  int const group = threadIdx.x / 128;
  if (threadIdx.x == 0) {
    for (int n = 0; n < Stages; ++n) {
      full[n].init(1);
      empty[n].init(128);
    }
    cutlass::arch::fence_barrier_init();
  }
  __syncthreads();
  if (group == 1) {
    cutlass::arch::warpgroup_reg_dealloc<40>();
    if (threadIdx.x == 128) {
      for (int step = 0; step < steps; ++step) {
        int const stage = step % Stages, turn = step / Stages;
        empty[stage].wait(turn + 1 & 1);
        full[stage].arrive_and_expect_tx((M + N) * K * 2);
        half_t* to = stages + stage * (M + N) * K;
        SM90_BULK_COPY_G2S::copy(b + step * N * K, reinterpret_cast<uint64_t*>(&full[stage]), to, N * K * 2);
        SM90_BULK_COPY_G2S::copy(a + step * M * K, reinterpret_cast<uint64_t*>(&full[stage]), to + N * K, M * K * 2);
      }
    }
    return;
  }
  cutlass::arch::warpgroup_reg_alloc<232>();
  auto product = make_tiled_mma(SM90_64x64x16_F32F16F16_RS<GMMA::Major::K, GMMA::Major::K>{});
  auto mine = product.get_thread_slice(threadIdx.x);
  Tensor out = mine.partition_C(make_tensor(make_gmem_ptr(y), make_layout(Shape<Int<M>, Int<N>>{}, LayoutRight{})));
  Tensor sum = mine.make_fragment_C(out);
  clear(sum);
  for (int step = 0; step < steps; ++step) {
    int const stage = step % Stages, turn = step / Stages;
    half_t* from = stages + stage * (M + N) * K;
    Tensor held_b = make_tensor(make_smem_ptr(from), tile_b);
    Tensor held_a = make_tensor(make_smem_ptr(from + N * K), tile_a);
    Tensor right = mine.make_fragment_B(mine.partition_B(held_b));
    Tensor part = mine.partition_A(held_a);
    Tensor left = make_fragment_like(part);
    full[stage].wait(turn & 1);
    copy(part, left);
    for (int n = 0; n < size(left); ++n) left(n) = left(n) * half_t(0.5f);
    warpgroup_fence_operand(sum);
    warpgroup_arrive();
    gemm(product, left, right, sum);
    warpgroup_commit_batch();
    warpgroup_wait<0>();
    warpgroup_fence_operand(sum);
    empty[stage].arrive();
  }
  copy(sum, out);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) KERNEL
