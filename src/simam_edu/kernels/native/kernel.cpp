// SimAM on the CPU: a forward and a backward pass over each channel while it is in the cache.
//
// __init__.py builds this file, operator.cpp calls the function at its end; the chapter on gradients derives what it computes. For a channel
// x_1 ... x_M, with d_i = x_i - mu and T = sum d_i^2 + (M - correction) lam,
//
//     r^2 = (M - correction) / (4 T),   z_i = d_i r,   u_i = 1/2 + rise(z_i^2),   s_i = sigmoid(u_i),   y_i = x_i s_i
//
// and with the upstream gradient g and q_i = g_i x_i r s_i (1 - s_i) rise'(z_i^2),
//
//     dL/dx_j = g_j s_j + 2 q_j z_j - 2/M sum q_i z_i - 8/(M - correction) z_j sum q_i z_i^2.
//
// The loops are written so that a compiler turns them into vector instructions by itself. That is why the exponential stands
// here, why it is one of base 2, with z counted in units of sqrt(ln 2), and why half-precision values are widened run by run.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace {

using Index = std::int64_t;

struct Half { std::uint16_t bits; };
struct BFloat16 { std::uint16_t bits; };

// What a value is computed in.
template <class T> using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Float32 sums run over a block, short enough to lose nothing; blocks are added in float64. Where the lanes of a sum are channels
// and not shares of one, a block has fewer positions.
constexpr Index BLOCK = 2048, POSITIONS = 64;
// Channels that are worked on together where they lie side by side.
constexpr Index LANES = 64, FEW = 16;
// Channels that are worked on together where they lie one after the other: at most so many, and no more positions than stay in the
// first cache three times, as input, gradient and output. And how many positions a short channel has at most.
constexpr Index GROUP = 32, TOGETHER = 1536, SHORT = 255;
// Fewer elements than this are done sooner by one thread than shared.
constexpr Index SHARE = 1 << 15;
// Bytes of new memory that are asked for at once, and the smallest output for which that is done: glibc hands blocks of this size
// and more back to the system as soon as they are free, so that they are new each time.
constexpr std::uintptr_t PIECE = 1 << 20, NEW = 1 << 25;

// ---- numbers ----

template <class A> struct Format;
template <> struct Format<float> {
    using Bits = std::uint32_t;
    static constexpr float ROUND = 0x1.8p23f, LARGEST = 115.f;
    static constexpr int SHIFT = 23, DEGREE = 5;
    static constexpr double SAFE_LOW = 1e-26, SAFE_HIGH = 1e30;
};
template <> struct Format<double> {
    using Bits = std::uint64_t;
    static constexpr double ROUND = 0x1.8p52, LARGEST = 1000.;
    static constexpr int SHIFT = 52, DEGREE = 13;
    static constexpr double SAFE_LOW = 1e-270, SAFE_HIGH = 1e290;
};

constexpr double LN2 = 0.693147180559945309417, LOG2E = 1.44269504088896340736, UNIT = 1.20112240878644998;  // its square root

constexpr double series(int k) { return k == 0 ? 1 : series(k - 1) * LN2 / k; }  // ln(2)^k / k!

// The coefficient of f^k in a polynomial for 2^f on |f| <= 1/2. For float32 the series ends with f^7, and its last two terms are
// replaced by those that come nearest, by T_6(2 f) and T_7(2 f) of Chebyshev: two steps less, for an error of 1e-7.
template <class A> constexpr A coefficient(int k) {
    if (std::is_same_v<A, double>) return A(series(k));
    constexpr double even[] = {1. / 2048, 0, -72. / 2048, 0, 768. / 2048, 0};
    constexpr double odd[] = {0, 14. / 8192, 0, -448. / 8192, 0, 3584. / 8192};
    return A(series(k) + even[k] * series(6) + odd[k] * series(7));
}

template <class A, int K = 0> inline A power_of_two(A f) {
    if constexpr (K == Format<A>::DEGREE) return coefficient<A>(K);
    else return power_of_two<A, K + 1>(f) * f + coefficient<A>(K);
}

// 2^-w for w >= 0. Its relative error grows with w, but in 1 / (1 + 2^-w) it then counts for less: there it stays below one unit
// in the last place. nan gives 2^-115: a channel that has one is done again as an extreme one.
template <class A> inline A power_of_half(A w) {
    using Bits = typename Format<A>::Bits;
    // Positive numbers are ordered as their bits are, and integers have a minimum in one instruction.
    w = std::bit_cast<A>(std::min(std::bit_cast<Bits>(w), std::bit_cast<Bits>(Format<A>::LARGEST)));  // 2^-115 is nothing beside 1
    const A rounded = Format<A>::ROUND - w;  // the nearest integer stands in its last bits
    const A f = (Format<A>::ROUND - rounded) - w;
    const Bits exponent = std::bit_cast<Bits>(rounded) << Format<A>::SHIFT;
    return std::bit_cast<A>(Bits(std::bit_cast<Bits>(power_of_two(f)) + exponent));
}

inline float widen(BFloat16 value) { return std::bit_cast<float>(std::uint32_t(value.bits) << 16); }

inline float widen(Half value) {
    const std::uint32_t sign = std::uint32_t(value.bits & 0x8000u) << 16, rest = std::uint32_t(value.bits & 0x7fffu) << 13;
    // As the bits of a float32 the value is too small by 2^112; inf and nan keep the largest exponent.
    const float scaled = std::bit_cast<float>(rest) * 0x1p112f;
    const std::uint32_t bits = rest >= 0x0f800000u ? (rest | 0x7f800000u) : std::bit_cast<std::uint32_t>(scaled);
    return std::bit_cast<float>(bits | sign);
}

inline void narrow(float value, BFloat16& to) {  // to the nearest, ties to even
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    to.bits = std::uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

inline void narrow(float value, Half& to) {  // to the nearest, ties to even
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), sign = (bits >> 16) & 0x8000u, size = bits & 0x7fffffffu;
    const std::uint32_t normal = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
    // Below the smallest normal half, adding 1/2 leaves the rounded half in the last bits.
    const std::uint32_t small = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u;
    const std::uint32_t finite = size < 0x38800000u ? small : normal;
    const std::uint32_t result = size > 0x7f800000u ? 0x7e00u : (size >= 0x477ff000u ? 0x7c00u : finite);
    to.bits = std::uint16_t(result | sign);
}

// The values of a run in the type they are computed in: where they stand, or widened into the buffer.
template <class T> inline const Real<T>* widened(const T* from, Real<T>* buffer, Index count) {
    if constexpr (std::is_same_v<T, Real<T>>) return from;
    else {
#pragma omp simd
        for (Index i = 0; i < count; ++i) buffer[i] = widen(from[i]);
        return buffer;
    }
}

// Where to compute a run that is stored at `to`, and how it gets there.
template <class T> inline Real<T>* output_buffer(T* to, Real<T>* buffer) {
    if constexpr (std::is_same_v<T, Real<T>>) return to;
    else return buffer;
}
template <class T> inline void stored(const Real<T>* from, T* to, Index count) {
    if constexpr (!std::is_same_v<T, Real<T>>) {
#pragma omp simd
        for (Index i = 0; i < count; ++i) narrow(from[i], to[i]);
    }
}

// ---- one neuron ----

struct Options {
    double lam;
    Index positions;
    int correction;
};

// How the energy rises with w = z^2, in the units of z: by w itself, or, with the statistics of the others only, by
// a^2 w / (1 - b w).
template <class A, bool LEAVE_ONE_OUT> struct Rise {
    A a2 = 1, b = 0;
    explicit Rise(const Options& o) {
        if constexpr (LEAVE_ONE_OUT) {
            const double m = double(o.positions), a = m / (m - 1);
            a2 = A(a * a), b = A(4 * a / (m - 1) * LN2);
        }
    }
    // A neuron that differs from equal others has a ratio of 0; the floor gives it the gain 1 and the slope 0.
    A variance_ratio(A w) const { const A left = A(1) - b * w; return left > A(1e-6) ? left : A(1e-6); }
    A value(A w) const { if constexpr (LEAVE_ONE_OUT) return a2 * w / variance_ratio(w); else return w; }
    A slope(A w) const { if constexpr (LEAVE_ONE_OUT) return a2 / (variance_ratio(w) * variance_ratio(w)); else return A(1); }
};

template <class A, class R> inline A output(A x, A z, const R& rise) {
    return x / (A(1) + power_of_half(A(LOG2E / 2) + rise.value(z * z)));
}

// g s, and with it q z / r: the share of a neuron in what all have together. g x may overflow, x z does not: z is
// 0 in a constant channel, and T, which is in the safe range, bounds it in others.
template <class A, class R> inline A direct(A x, A g, A z, const R& rise, A& qz_over_r) {
    const A e = power_of_half(A(LOG2E / 2) + rise.value(z * z));
    const A s = A(1) / (A(1) + e), gs = g * s;
    qz_over_r = (x * z) * gs * (e * s) * rise.slope(z * z);  // 1 - s = e s, without the rounding of 1 - s
    return gs;
}

// r, or -1 where T is so large or small that its parts may have left the range of the type.
template <class A> inline A width_inverse(double sum_of_squares, const Options& o) {
    const double dof = double(o.positions - o.correction), total = sum_of_squares + dof * o.lam;
    const bool safe = total > Format<A>::SAFE_LOW && total < Format<A>::SAFE_HIGH;
    return safe ? std::sqrt(A(dof / (4 * total))) : A(-1);
}

// ---- channels whose positions lie one after the other ----

template <class A> struct Statistics {  // of each channel of a group
    alignas(64) A first[GROUP] = {}, offset[GROUP] = {}, r[GROUP] = {};  // x_1, mu - x_1, and r
};

// Sums run in lanes, and the lanes are added in pairs: that is fast, and it rounds less than one long sum.
template <Index W, class A> [[gnu::always_inline]] inline double in_pairs(A* lanes) {
    for (Index half = W / 2; half > 0; half /= 2)
#pragma omp simd
        for (Index j = 0; j < half; ++j) lanes[j] += lanes[j + half];
    return double(lanes[0]);
}

// Calls add(i, a, b) for i from 0 to count, to add to two sums, and returns them.
template <Index W, class A, class F> [[gnu::always_inline]] inline void two_sums(Index count, F add, double& a, double& b) {
    a = b = 0;
    for (Index start = 0; start < count; start += BLOCK) {
        const Index stop = std::min(count, start + BLOCK);
        alignas(64) A lanes_a[W] = {}, lanes_b[W] = {};
        Index i = start;
        for (; i + W <= stop; i += W)
#pragma omp simd
            for (Index j = 0; j < W; ++j) add(i + j, lanes_a[j], lanes_b[j]);
        A rest_a = 0, rest_b = 0;
        for (; i < stop; ++i) add(i, rest_a, rest_b);
        a += in_pairs<W>(lanes_a) + double(rest_a), b += in_pairs<W>(lanes_b) + double(rest_b);
    }
}

// The sums of the lanes of several rows, step by step for all of them, so that no row waits for another.
template <Index W, class A> [[gnu::always_inline]] inline void rows_in_pairs(A (*lanes)[FEW], Index rows, double* sums) {
    if constexpr (W > 4) {
        for (Index k = 0; k < rows; ++k)
#pragma omp simd
            for (Index j = 0; j < W / 2; ++j) lanes[k][j] += lanes[k][j + W / 2];
        rows_in_pairs<W / 2>(lanes, rows, sums);
    } else {
        for (Index k = 0; k < rows; ++k) sums[k] = double((lanes[k][0] + lanes[k][2]) + (lanes[k][1] + lanes[k][3]));
    }
}

// two_sums of each of several rows, of the k-th by add(k, i, a, b). The lanes of short rows are added at the end, for all rows step by
// step, so that no row waits for another. `count` is then one of whole_vectors().
template <Index W, class A, class F>
[[gnu::always_inline]] inline void two_sums_of_rows(Index rows, Index count, F add, double* a, double* b) {
    if (count > SHORT) {
        for (Index k = 0; k < rows; ++k) two_sums<W, A>(count, [=](Index i, A& a, A& b) { add(k, i, a, b); }, a[k], b[k]);
        return;
    }
    alignas(64) A lanes_of_a[GROUP][FEW], lanes_of_b[GROUP][FEW];
    for (Index k = 0; k < rows; ++k) {
        alignas(64) A lanes_a[FEW] = {}, lanes_b[FEW] = {};
        for (Index i = 0; i < count; i += FEW)
#pragma omp simd
            for (Index j = 0; j < FEW; ++j) add(k, i + j, lanes_a[j], lanes_b[j]);
        std::copy_n(lanes_a, FEW, lanes_of_a[k]), std::copy_n(lanes_b, FEW, lanes_of_b[k]);
    }
    rows_in_pairs<FEW>(lanes_of_a, rows, a), rows_in_pairs<FEW>(lanes_of_b, rows, b);
}

// How many positions of a channel fill whole vectors, where that matters.
inline Index whole_vectors(Index positions) { return positions > SHORT ? positions : positions - positions % FEW; }

// The last positions of the channels of a group, which fill no vector of their own: the i-th of all channels side by side.
template <class A> using Last = A[FEW - 1][GROUP];

template <class A> [[gnu::always_inline]] inline void collect(const A* x, Index positions, Index channels, Last<A>& last) {
    const Index body = whole_vectors(positions);
    for (Index i = body; i < positions; ++i) {
        std::fill_n(last[i - body], GROUP, A(0));
        for (Index k = 0; k < channels; ++k) last[i - body][k] = x[k * positions + i];
    }
}
template <class A> [[gnu::always_inline]] inline void spread(const Last<A>& last, Index positions, Index channels, A* x) {
    const Index body = whole_vectors(positions);
    for (Index i = body; i < positions; ++i)
        for (Index k = 0; k < channels; ++k) x[k * positions + i] = last[i - body][k];
}

// Differences to a neuron of the channel are small, and zero where all are equal; the mean is taken of these. Several short
// channels go through each step together, so that one need not wait for the other.
template <class A>
[[gnu::always_inline]] inline void statistics(const A* x, Index channels, const Options& options, Statistics<A>& s) {
    const Options o = options;
    const Index m = o.positions, body = whole_vectors(m);
    alignas(64) double sum[GROUP] = {}, squares[GROUP] = {};
    for (Index k = 0; k < channels; ++k) s.first[k] = x[k * m];
    const A* first = s.first;
    two_sums_of_rows<LANES, A>(channels, body, [=](Index k, Index i, A& a, A& b) {
        const A d = x[k * m + i] - first[k];
        a += d, b += d * d;
    }, sum, squares);
    alignas(64) Last<A> last;
    collect(x, m, channels, last);
    for (Index i = 0; i < m - body; ++i)
#pragma omp simd
        for (Index k = 0; k < GROUP; ++k) { const A d = last[i][k] - s.first[k]; sum[k] += double(d), squares[k] += double(d * d); }
    const double share = 1 / double(m);
#pragma omp simd
    for (Index k = 0; k < GROUP; ++k) s.offset[k] = A(sum[k] * share);
    for (Index k = 0; k < channels; ++k) {
        // The squares about the mean are a difference, which is sharp unless x_1 is far from the mean.
        const double about_mean = squares[k] - sum[k] * sum[k] * share;
        if (about_mean > squares[k] / 4) { squares[k] = about_mean; continue; }
        const A first = s.first[k], offset = s.offset[k];
        double none;
        const A* row = x + k * m;
        two_sums<LANES, A>(m, [=](Index i, A& a, A&) { const A d = (row[i] - first) - offset; a += d * d; }, squares[k], none);
    }
#pragma omp simd
    for (Index k = 0; k < GROUP; ++k) s.r[k] = width_inverse<A>(squares[k], o);
}

template <class A, class R>
[[gnu::always_inline]] inline void rows_forward(const A* x, A* y, Index channels, const Statistics<A>& s, const Options& o,
                                                const R& rise) {
    const Index m = o.positions, body = whole_vectors(m);
    alignas(64) A steep[GROUP], shift[GROUP];
#pragma omp simd
    for (Index k = 0; k < GROUP; ++k) steep[k] = s.r[k] * A(UNIT), shift[k] = -s.offset[k] * steep[k];
    alignas(64) Last<A> last;
    collect(x, m, channels, last);
    for (Index k = 0; k < channels; ++k) {
        const A first = s.first[k], a = steep[k], b = shift[k];
#pragma omp simd
        for (Index i = k * m; i < k * m + body; ++i) y[i] = output(x[i], (x[i] - first) * a + b, rise);
    }
    for (Index i = 0; i < m - body; ++i)
#pragma omp simd
        for (Index k = 0; k < GROUP; ++k) last[i][k] = output(last[i][k], (last[i][k] - s.first[k]) * steep[k] + shift[k], rise);
    spread(last, m, channels, y);
}

template <class A, class R>
[[gnu::always_inline]] inline void rows_backward(const A* x, const A* g, A* out, Index channels, const Statistics<A>& s,
                                                 const Options& o, const R& rise) {
    const Index m = o.positions, body = whole_vectors(m);
    alignas(64) double qz[GROUP] = {}, qz2[GROUP] = {};
    alignas(64) A steep[GROUP], shift[GROUP], twice[GROUP], constant[GROUP], slope[GROUP];
#pragma omp simd
    for (Index k = 0; k < GROUP; ++k)
        steep[k] = s.r[k] * A(UNIT), shift[k] = -s.offset[k] * steep[k], twice[k] = s.r[k] * A(2 / UNIT);
    alignas(64) Last<A> last_x, last_g;
    collect(x, m, channels, last_x), collect(g, m, channels, last_g);
    // g s + 2 q z, and the terms of the sums of q z / r and q z^2 / r.
    const auto own_part = [&rise](A x, A g, A first, A steep, A shift, A twice, A& part, A& part2) {
        const A z = (x - first) * steep + shift;
        const A gs = direct(x, g, z, rise, part);
        part2 = part * z;
        return gs + twice * part;
    };
    two_sums_of_rows<FEW, A>(channels, body, [&](Index k, Index i, A& sum, A& sum2) {
        A part, part2;
        out[k * m + i] = own_part(x[k * m + i], g[k * m + i], s.first[k], steep[k], shift[k], twice[k], part, part2);
        sum += part, sum2 += part2;
    }, qz, qz2);
    for (Index i = 0; i < m - body; ++i)
#pragma omp simd
        for (Index k = 0; k < GROUP; ++k) {
            A part, part2;
            last_g[i][k] = own_part(last_x[i][k], last_g[i][k], s.first[k], steep[k], shift[k], twice[k], part, part2);
            qz[k] += double(part), qz2[k] += double(part2);
        }
    const double by_mean = -2 / UNIT / double(m), by_variance = -8 / LOG2E / double(m - o.correction);
#pragma omp simd
    for (Index k = 0; k < GROUP; ++k) {  // what all positions share, as a line over x - x_1
        slope[k] = A(by_variance * qz2[k]) * s.r[k] * s.r[k];
        constant[k] = A(by_mean * qz[k]) * s.r[k] - slope[k] * s.offset[k];
    }
    for (Index k = 0; k < channels; ++k) {
        const A first = s.first[k], height = constant[k], steepness = slope[k];
#pragma omp simd
        for (Index i = k * m; i < k * m + body; ++i) out[i] += height + steepness * (x[i] - first);
    }
    for (Index i = 0; i < m - body; ++i)
#pragma omp simd
        for (Index k = 0; k < GROUP; ++k) last_g[i][k] += constant[k] + slope[k] * (last_x[i][k] - s.first[k]);
    spread(last_g, m, channels, out);
}

// ---- channels that lie side by side, value by value (channels_last) ----

// Calls use(start, stop, j, w) for blocks of positions, and in each of them for every vector of lanes: w lanes from the j-th on.
template <class Use> inline void over_lanes(Index rows, Index width, Use use) {
    for (Index start = 0; start < rows; start += POSITIONS) {
        const Index stop = std::min(rows, start + POSITIONS);
        Index j = 0;
        for (; j + LANES <= width; j += LANES) use(start, stop, j, std::integral_constant<Index, LANES>());
        for (; j + FEW <= width; j += FEW) use(start, stop, j, std::integral_constant<Index, FEW>());
        if (j < width) use(start, stop, j, width - j);
    }
}

// What is known of each lane. Few channels share the lanes: with 16 of them, 64 lanes hold four positions side by side.
template <class A> struct Lanes {
    Index width, channels;
    Options options;
    // A vector across two cache lines costs twice.
    alignas(64) A first[LANES] = {}, offset[LANES] = {}, r[LANES] = {};
    alignas(64) double total[LANES] = {}, total2[LANES] = {};

    // Adds up what belongs to one channel, gives it to all its lanes as value(sum, sum2), and clears the sums.
    template <class F> void finish(F value) {
        for (Index j = channels; j < width; ++j) total[j % channels] += total[j], total2[j % channels] += total2[j];
        for (Index j = 0; j < channels; ++j) value(j, total[j], total2[j]);
        std::fill_n(total, width, 0.0), std::fill_n(total2, width, 0.0);
    }
    void repeat(A* numbers) const {
        for (Index j = channels; j < width; ++j) numbers[j] = numbers[j - channels];
    }
};

// Numbers of a vector of lanes that do not change while it goes through the positions.
template <class A> struct Fixed {
    alignas(64) A at[LANES];
    Fixed(const A* from, Index count) { std::copy_n(from, count, at); }
    A operator[](Index k) const { return at[k]; }
};

template <class T> inline void lanes_statistics(const T* x, Index stride, Index rows, Lanes<Real<T>>& s) {
    using A = Real<T>;
    alignas(64) A buffer[LANES];
    std::copy_n(widened(x, buffer, s.channels), s.channels, s.first);
    s.repeat(s.first);
    over_lanes(rows, s.width, [&](Index start, Index stop, Index j, auto w) {
        alignas(64) A buffer[LANES], part[LANES] = {}, part2[LANES] = {};
        const Fixed<A> first(s.first + j, w);
        for (Index i = start; i < stop; ++i) {
            const A* v = widened(x + i * stride + j, buffer, w);
#pragma omp simd
            for (Index k = 0; k < w; ++k) {
                const A d = v[k] - first[k];
                part[k] += d, part2[k] += d * d;
            }
        }
        for (Index k = 0; k < w; ++k) s.total[j + k] += double(part[k]), s.total2[j + k] += double(part2[k]);
    });
    bool sharp = true;
    const double share = 1 / double(s.options.positions);
    s.finish([&](Index j, double sum, double squares) {
        s.offset[j] = A(sum * share);
        const double about_mean = squares - sum * sum * share;
        sharp = sharp && about_mean > squares / 4;
        s.r[j] = width_inverse<A>(about_mean, s.options);
    });
    s.repeat(s.offset);
    if (!sharp) {
        over_lanes(rows, s.width, [&](Index start, Index stop, Index j, auto w) {
            alignas(64) A buffer[LANES], part[LANES] = {};
            const Fixed<A> first(s.first + j, w), offset(s.offset + j, w);
            for (Index i = start; i < stop; ++i) {
                const A* v = widened(x + i * stride + j, buffer, w);
#pragma omp simd
                for (Index k = 0; k < w; ++k) {
                    const A d = (v[k] - first[k]) - offset[k];
                    part[k] += d * d;
                }
            }
            for (Index k = 0; k < w; ++k) s.total[j + k] += double(part[k]);
        });
        s.finish([&](Index j, double squares, double) { s.r[j] = width_inverse<A>(squares, s.options); });
    }
    s.repeat(s.r);
}

template <class T, class R>
inline void lanes_forward(const T* x, T* y, Index stride, Index rows, Lanes<Real<T>>& s, const R& rise) {
    using A = Real<T>;
    alignas(64) A steep[LANES], shift[LANES];
    lanes_statistics(x, stride, rows, s);
    for (Index j = 0; j < s.width; ++j) steep[j] = s.r[j] * A(UNIT), shift[j] = -s.offset[j] * steep[j];
    over_lanes(rows, s.width, [&](Index start, Index stop, Index j, auto w) {
        alignas(64) A buffer[LANES], narrowing[LANES];
        const Fixed<A> first(s.first + j, w), a(steep + j, w), b(shift + j, w);
        for (Index i = start; i < stop; ++i) {
            const A* v = widened(x + i * stride + j, buffer, w);
            A* to = output_buffer(y + i * stride + j, narrowing);
#pragma omp simd
            for (Index k = 0; k < w; ++k) to[k] = output(v[k], (v[k] - first[k]) * a[k] + b[k], rise);
            stored(to, y + i * stride + j, w);
        }
    });
}

template <class T, class R>
inline void lanes_backward(const T* x, const T* g, T* out, Index stride, Index rows, Lanes<Real<T>>& s, const R& rise) {
    using A = Real<T>;
    alignas(64) A steep[LANES], shift[LANES], twice[LANES], constant[LANES], slope[LANES];
    // Half types keep the first part of their gradient in float32 until it is whole.
    std::vector<A> whole(std::is_same_v<T, A> ? 0 : std::size_t(rows * s.width));
    const auto place = [&](Index i) {
        if constexpr (std::is_same_v<T, A>) return out + i * stride;
        else return whole.data() + i * s.width;
    };
    std::copy_n(widened(x, steep, s.channels), s.channels, s.first);
    s.repeat(s.first);
    for (Index j = 0; j < s.width; ++j)
        steep[j] = s.r[j] * A(UNIT), shift[j] = -s.offset[j] * steep[j], twice[j] = s.r[j] * A(2 / UNIT);
    over_lanes(rows, s.width, [&](Index start, Index stop, Index j, auto w) {
        alignas(64) A x_buffer[LANES], g_buffer[LANES], part[LANES] = {}, part2[LANES] = {};
        const Fixed<A> first(s.first + j, w), a(steep + j, w), b(shift + j, w), c(twice + j, w);
        for (Index i = start; i < stop; ++i) {
            const A *v = widened(x + i * stride + j, x_buffer, w), *grad_output = widened(g + i * stride + j, g_buffer, w);
            A* to = place(i) + j;
#pragma omp simd
            for (Index k = 0; k < w; ++k) {
                const A z = (v[k] - first[k]) * a[k] + b[k];
                A qz;
                const A gs = direct(v[k], grad_output[k], z, rise, qz);
                to[k] = gs + c[k] * qz;
                part[k] += qz, part2[k] += qz * z;
            }
        }
        for (Index k = 0; k < w; ++k) s.total[j + k] += double(part[k]), s.total2[j + k] += double(part2[k]);
    });
    s.finish([&](Index j, double qz, double qz2) {
        slope[j] = A(-8 / LOG2E * qz2 / double(s.options.positions - s.options.correction)) * s.r[j] * s.r[j];
        constant[j] = A(-2 / UNIT * qz / double(s.options.positions)) * s.r[j] - slope[j] * s.offset[j];
    });
    s.repeat(constant), s.repeat(slope);
    over_lanes(rows, s.width, [&](Index start, Index stop, Index j, auto w) {
        alignas(64) A buffer[LANES];
        const Fixed<A> first(s.first + j, w), height(constant + j, w), steepness(slope + j, w);
        for (Index i = start; i < stop; ++i) {
            const A* v = widened(x + i * stride + j, buffer, w);
            A* to = place(i) + j;
#pragma omp simd
            for (Index k = 0; k < w; ++k) to[k] += height[k] + steepness[k] * (v[k] - first[k]);
            stored(to, out + i * stride + j, w);
        }
    });
}

// ---- a channel of extreme values: in float64, scaled by a power of two, which changes no digit ----

struct Scaled {
    std::vector<double> values;
    int exponent = 0;
    Options options;
    Statistics<double> statistics;

    // SimAM of x / 2^exponent times 2^exponent is SimAM of x, if lam is scaled twice; both have the same gradient.
    template <class T> Scaled(const T* x, Index stride, const Options& o) : values(std::size_t(o.positions)), options(o) {
        double largest = 0;
        bool finite = true;
        for (Index i = 0; i < o.positions; ++i) {
            Real<T> buffer;
            values[i] = double(*widened(x + i * stride, &buffer, 1));
            finite = finite && std::isfinite(values[i]);
            largest = std::max(largest, std::abs(values[i]));
        }
        if (!finite) {  // the mean is not finite, so nothing in the channel is
            std::fill(values.begin(), values.end(), std::numeric_limits<double>::quiet_NaN());
            statistics.first[0] = statistics.offset[0] = statistics.r[0] = values[0];
            return;
        }
        std::frexp(largest, &exponent);
        for (double& value : values) value = std::ldexp(value, -exponent);
        options.lam = std::ldexp(std::ldexp(o.lam, -exponent), -exponent);
        ::statistics(values.data(), 1, options, statistics);
        // Now all values are in [-1, 1]. Without a safe r either all are equal or lam is beyond all bounds: z is 0.
        statistics.r[0] = std::max(statistics.r[0], 0.0);
    }
};

template <class T> inline void narrowed(double value, T* to) {
    if constexpr (std::is_same_v<T, Real<T>>) *to = T(value);
    else narrow(float(value), *to);
}

template <class T, bool L> void extreme_forward(const T* x, T* y, Index stride, const Options& o) {
    Scaled scaled(x, stride, o);
    rows_forward(scaled.values.data(), scaled.values.data(), 1, scaled.statistics, scaled.options, Rise<double, L>(o));
    for (Index i = 0; i < o.positions; ++i) narrowed(std::ldexp(scaled.values[i], scaled.exponent), y + i * stride);
}

template <class T, bool L> void extreme_backward(const T* x, const T* g, T* out, Index stride, const Options& o) {
    const Scaled scaled(x, stride, o);
    std::vector<double> gradient(scaled.values.size()), result(scaled.values.size());
    for (Index i = 0; i < o.positions; ++i) {
        Real<T> buffer;
        gradient[i] = double(*widened(g + i * stride, &buffer, 1));
    }
    rows_backward(scaled.values.data(), gradient.data(), result.data(), 1, scaled.statistics, scaled.options, Rise<double, L>(o));
    for (Index i = 0; i < o.positions; ++i) narrowed(result[i], out + i * stride);
}

// ---- memory ----

// The system gives new memory at its first touch, page by page, with an interruption for each: on a large map they take longer
// than SimAM does. Each thread therefore asks for many pages at a time, shortly before it writes them.
class Pages {
    std::uintptr_t end, ready = 0;  // of the output, and of what this thread has asked for

public:
    Pages(const void* output, Index bytes) : end(reinterpret_cast<std::uintptr_t>(output) + std::uintptr_t(bytes)) {
        if (std::uintptr_t(bytes) < NEW) ready = end;
    }

    // Asks for [from, to), which lies after what was asked for before. It is advice: where the system does not take it, or the
    // memory is there, nothing happens.
    void ask([[maybe_unused]] const void* from, [[maybe_unused]] const void* to) {
#ifdef MADV_POPULATE_WRITE
        const auto stop = reinterpret_cast<std::uintptr_t>(to);
        while (ready < stop) {
            static const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE));
            const auto start = std::max(ready, reinterpret_cast<std::uintptr_t>(from)) / page * page;
            ready = std::min(start + PIECE, end);
            unsigned char there = 0;
            auto* const first = reinterpret_cast<void*>(start);
            if (mincore(first, page, &there) == 0 && !(there & 1)) madvise(first, ready - start, MADV_POPULATE_WRITE);
        }
#endif
    }
};

// ---- all channels ----

template <class T> struct Job {
    const T *x, *g;  // g is null in the forward pass
    T* out;  // the output, or the gradient of x
    Real<T>*offset, *r;  // two numbers per channel
    Index images, channels;
    bool channels_last;
    Options options;
};

// M is the number of positions where the compiler shall know it, or 0.
template <class T, bool L, Index M> void do_rows_of(const Job<T>& job, Index row, Index channels) {
    using A = Real<T>;
    Options o = job.options;
    if (M) o.positions = M;
    const Index at = row * o.positions, count = channels * o.positions;
    const Rise<A, L> rise(o);
    Statistics<A> s;
    static thread_local std::vector<A> wide_x, wide_g;
    if constexpr (!std::is_same_v<T, A>) wide_x.resize(std::size_t(count)), wide_g.resize(std::size_t(count));
    const A* x = widened(job.x + at, wide_x.data(), count);
    if (!job.g) {
        statistics(x, channels, o, s);
        for (Index k = 0; k < channels; ++k) job.offset[row + k] = s.offset[k], job.r[row + k] = s.r[k];
        A* y = output_buffer(job.out + at, wide_x.data());
        rows_forward(x, y, channels, s, o, rise);
        stored(y, job.out + at, count);
    } else {
        for (Index k = 0; k < channels; ++k)
            s.first[k] = x[k * o.positions], s.offset[k] = job.offset[row + k], s.r[k] = job.r[row + k];
        const A* g = widened(job.g + at, wide_g.data(), count);
        A* out = output_buffer(job.out + at, wide_g.data());
        rows_backward(x, g, out, channels, s, o, rise);
        stored(out, job.out + at, count);
    }
}

// The loops over the smallest usual maps, 7 by 7 and 8 by 8, are too short to choose their length while they run.
template <class T, bool L> void do_rows(const Job<T>& job, Index row, Index channels) {
    if (job.options.positions == 64) do_rows_of<T, L, 64>(job, row, channels);
    else if (job.options.positions == 49) do_rows_of<T, L, 49>(job, row, channels);
    else do_rows_of<T, L, 0>(job, row, channels);
}

template <class T, bool L> void do_lanes(const Job<T>& job, Index image, Index channel, Index channels) {
    using A = Real<T>;
    const Options& o = job.options;
    const Index at = image * o.positions * job.channels + channel, row = image * job.channels + channel;
    const bool shared = channels == job.channels && LANES % channels == 0 && o.positions % (LANES / channels) == 0;
    const Index together = shared ? LANES / channels : 1;
    const Index stride = together * job.channels, rows = o.positions / together;
    const Rise<A, L> rise(o);
    Lanes<A> s{together * channels, channels, o};
    const T *x = job.x + at, *g = job.g + at;
    T* out = job.out + at;
    if (!job.g) {
        lanes_forward(x, out, stride, rows, s, rise);
        std::copy_n(s.offset, channels, job.offset + row), std::copy_n(s.r, channels, job.r + row);
    } else {
        std::copy_n(job.offset + row, channels, s.offset), std::copy_n(job.r + row, channels, s.r);
        s.repeat(s.offset), s.repeat(s.r);
        lanes_backward(x, g, out, stride, rows, s, rise);
    }
}

// The channels whose statistics left the safe range are done once more.
template <class T, bool L> void do_extreme(const Job<T>& job, Index row) {
    const Options& o = job.options;
    const Index image = row / job.channels, channel = row % job.channels;
    const Index at = job.channels_last ? image * o.positions * job.channels + channel : row * o.positions;
    const Index stride = job.channels_last ? job.channels : 1;
    if (!job.g) extreme_forward<T, L>(job.x + at, job.out + at, stride, o);
    else extreme_backward<T, L>(job.x + at, job.g + at, job.out + at, stride, o);
}

// A thread may take subnormal numbers for zero, as torch.set_flush_denormal tells it, and small halves are widened from such ones.
template <class T> struct Subnormals {};
#ifdef __SSE2__
template <> struct Subnormals<Half> {
    const unsigned before = _mm_getcsr();
    Subnormals() { _mm_setcsr(before & ~0x40u); }
    ~Subnormals() { _mm_setcsr(before); }
};
#endif

// Returns false where there was no memory.
template <class T, bool L> bool run(const Job<T>& job) {
    int failed = 0;
    const Index rows = job.images * job.channels;
    const Index together = job.channels_last ? LANES : std::clamp(TOGETHER / job.options.positions, Index(1), GROUP);
    const Index of = job.channels_last ? job.channels : rows, groups = (of + together - 1) / together;
    const Index tasks = job.channels_last ? job.images * groups : groups, m = job.options.positions;
#pragma omp parallel if (rows * m >= SHARE)
    {
        [[maybe_unused]] const Subnormals<T> read;
        Pages pages(job.out, rows * m * Index(sizeof(T)));
#pragma omp for schedule(static)
        for (Index task = 0; task < tasks; ++task) try {
            const Index begin = task % groups * together, channels = std::min(together, of - begin), image = task / groups;
            const Index row = image * job.channels + begin;
            if (job.channels_last) {
                pages.ask(job.out + image * job.channels * m, job.out + (image + 1) * job.channels * m);
                do_lanes<T, L>(job, image, begin, channels);
            } else {
                pages.ask(job.out + row * m, job.out + (row + channels) * m);
                do_rows<T, L>(job, begin, channels);
            }
            for (Index k = row; k < row + channels; ++k)
                if (job.r[k] < 0) do_extreme<T, L>(job, k);
        } catch (const std::bad_alloc&) {  // an exception may not leave a thread
#pragma omp atomic write
            failed = 1;
        }
    }
    return !failed;
}

template <class T> bool start(const void* x, const void* g, void* out, void* saved, Index images, Index channels, Index positions,
                              int channels_last, double lam, int correction, int leave_one_out) {
    auto* numbers = static_cast<Real<T>*>(saved);
    const Job<T> job{static_cast<const T*>(x), static_cast<const T*>(g), static_cast<T*>(out), numbers, numbers + images * channels,
                     images, channels, channels_last != 0, {lam, positions, correction}};
    return leave_one_out ? run<T, true>(job) : run<T, false>(job);
}

}  // namespace

// The forward pass where g is null: out = y, and saved is written, 2 x images x channels numbers. The backward pass otherwise:
// out = the gradient of x, and saved is read. Returns 0 where there was no memory. format: 0 float32, 1 float64, 2 float16, 3 bfloat16.
extern "C" int simam(int format, const void* x, const void* g, void* out, void* saved, std::int64_t images, std::int64_t channels,
                     std::int64_t positions, int channels_last, double lam, int correction, int leave_one_out) {
    const auto begin = format == 0 ? start<float> : format == 1 ? start<double> : format == 2 ? start<Half> : start<BFloat16>;
    return begin(x, g, out, saved, images, channels, positions, channels_last, lam, correction, leave_one_out);
}
