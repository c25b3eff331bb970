// The parts of BERT that TensorFlow 1.15 computes on a CPU in many passes over memory, each in one pass; their
// gradients recompute what is cheap instead of keeping it. Matrix products with the weights stay TensorFlow's.
//
// Batches are flat: all tokens of all pairs one after the other, offsets[i] .. offsets[i + 1] those of pair i, no
// padding. Every result depends on the inputs only, never on the number of threads: sums over tokens go block by block,
// in order.

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::int32;
using tensorflow::int64;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::uint32;
using tensorflow::errors::InvalidArgument;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

using Row = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>>;
using ConstRow = Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>>;
using RowBuffer = Eigen::Array<float, 1, Eigen::Dynamic>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using ConstStrided = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

constexpr int64 kBlock = 64;  // tokens whose sums are added up before they are added to the total
constexpr float kLayerNormEpsilon = 1e-12f;

// ---- Dropout: a pure function of two seeds and the element's index ----

// The finalizer of MurmurHash3 (Appleby 2011): a bijection in which every input bit flips every output bit half the
// time.
inline uint32 Mix(uint32 x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}

class Dropout {
 public:
  Dropout(float rate, const Tensor& seed)
      : threshold_(static_cast<uint32>(rate * 4294967296.0)),
        scale_(1.0f / (1.0f - rate)),
        first_(Mix(seed.flat<int32>()(0) + 0x9e3779b9u)),
        second_(Mix(first_ ^ seed.flat<int32>()(1))) {}

  // What to multiply the element by: 0 or 1 / (1 - rate).
  inline float Factor(uint32 index) const { return Mix(Mix(index + first_) ^ second_) >= threshold_ ? scale_ : 0.0f; }

  // Fills `factors` with those of elements start, start + 1, ...
  void Fill(int64 start, int64 count, float* factors) const {
    const uint32 first = static_cast<uint32>(start);
    for (int64 i = 0; i < count; ++i) factors[i] = Factor(first + static_cast<uint32>(i));
  }

 private:
  uint32 threshold_;
  float scale_;
  uint32 first_, second_;
};

// ---- Threads ----

void Parallel(OpKernelContext* context, int64 total, int64 cycles_each, const std::function<void(int64, int64)>& work) {
  const auto& threads = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(threads.num_threads, threads.workers, total, cycles_each, work);
}

// Runs work(first token, last token, sums) on blocks of tokens; `sums` has `width` floats, zero at first. Returns their
// totals.
RowBuffer ParallelSums(OpKernelContext* context, int64 tokens, int64 width, int64 cycles_each,
                       const std::function<void(int64, int64, float*)>& work) {
  const int64 blocks = (tokens + kBlock - 1) / kBlock;
  Matrix partial = Matrix::Zero(blocks, width);
  Parallel(context, blocks, kBlock * cycles_each, [&](int64 begin, int64 end) {
    for (int64 block = begin; block < end; ++block) {
      work(block * kBlock, std::min(tokens, (block + 1) * kBlock), partial.row(block).data());
    }
  });
  return partial.colwise().sum().array();
}

float* Allocate(OpKernelContext* context, int index, const TensorShape& shape) {
  Tensor* tensor = nullptr;
  context->SetStatus(context->allocate_output(index, shape, &tensor));
  return context->status().ok() ? tensor->flat<float>().data() : nullptr;
}

const float* Input(OpKernelContext* context, int index) { return context->input(index).flat<float>().data(); }

class DropoutKernel : public OpKernel {
 public:
  explicit DropoutKernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("rate", &rate_));
    OP_REQUIRES(construction, rate_ >= 0 && rate_ < 1, InvalidArgument("rate is ", rate_, ", must be in [0, 1)"));
  }

 protected:
  float rate_;
};

// ---- Dropout alone ----

class BertDropout : public DropoutKernel {
 public:
  using DropoutKernel::DropoutKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Dropout dropout(rate_, context->input(1));
    float* y = Allocate(context, 0, x.shape());
    if (!context->status().ok()) return;
    const float* from = x.flat<float>().data();
    Parallel(context, x.NumElements(), 4, [&](int64 begin, int64 end) {
      for (int64 i = begin; i < end; ++i) y[i] = from[i] * dropout.Factor(static_cast<uint32>(i));
    });
  }
};

// ---- layer_norm(residual + dropout(x + bias)) ----

class BertAddNorm : public DropoutKernel {
 public:
  using DropoutKernel::DropoutKernel;

  void Compute(OpKernelContext* context) override {
    const TensorShape shape = context->input(0).shape();
    const int64 tokens = shape.dim_size(0), width = shape.dim_size(1);
    const float *x = Input(context, 0), *residual = Input(context, 2);
    const ConstRow bias(Input(context, 1), width), gamma(Input(context, 3), width), beta(Input(context, 4), width);
    const Dropout dropout(rate_, context->input(5));
    float* y = Allocate(context, 0, shape);
    float* mean = Allocate(context, 1, TensorShape({tokens}));
    float* inverse = Allocate(context, 2, TensorShape({tokens}));
    if (!context->status().ok()) return;
    Parallel(context, tokens, width * 8, [&](int64 begin, int64 end) {
      RowBuffer factors(width), sum(width);
      for (int64 token = begin; token < end; ++token) {
        const int64 at = token * width;
        dropout.Fill(at, width, factors.data());
        sum = ConstRow(residual + at, width) + (ConstRow(x + at, width) + bias) * factors;
        mean[token] = sum.mean();
        sum -= mean[token];
        inverse[token] = 1.0f / std::sqrt(sum.square().mean() + kLayerNormEpsilon);
        Row(y + at, width) = sum * inverse[token] * gamma + beta;
      }
    });
  }
};

class BertAddNormGrad : public DropoutKernel {
 public:
  using DropoutKernel::DropoutKernel;

  // Inputs: dy, x, bias, residual, gamma, seed, mean, inverse. Outputs: dx, dbias, dresidual, dgamma, dbeta.
  void Compute(OpKernelContext* context) override {
    const TensorShape shape = context->input(0).shape();
    const int64 tokens = shape.dim_size(0), width = shape.dim_size(1);
    const float *dy = Input(context, 0), *x = Input(context, 1), *residual = Input(context, 3);
    const ConstRow bias(Input(context, 2), width), gamma(Input(context, 4), width);
    const Dropout dropout(rate_, context->input(5));
    const float *mean = Input(context, 6), *inverse = Input(context, 7);
    float* dx = Allocate(context, 0, shape);
    float* dbias = Allocate(context, 1, TensorShape({width}));
    float* dresidual = Allocate(context, 2, shape);
    float* dgamma = Allocate(context, 3, TensorShape({width}));
    float* dbeta = Allocate(context, 4, TensorShape({width}));
    if (!context->status().ok()) return;
    const RowBuffer sums =
        ParallelSums(context, tokens, 3 * width, width * 12, [&](int64 begin, int64 end, float* partial) {
          Row bias_sum(partial, width), gamma_sum(partial + width, width), beta_sum(partial + 2 * width, width);
          RowBuffer factors(width), normal(width), dnormal(width);
          for (int64 token = begin; token < end; ++token) {
            const int64 at = token * width;
            const ConstRow dy_row(dy + at, width);
            dropout.Fill(at, width, factors.data());
            normal = (ConstRow(residual + at, width) + (ConstRow(x + at, width) + bias) * factors - mean[token]) *
                     inverse[token];
            dnormal = dy_row * gamma;
            const float average = dnormal.mean(), along = (dnormal * normal).mean();
            Row dresidual_row(dresidual + at, width), dx_row(dx + at, width);
            dresidual_row = (dnormal - average - normal * along) * inverse[token];
            dx_row = dresidual_row * factors;
            bias_sum += dx_row;
            gamma_sum += dy_row * normal;
            beta_sum += dy_row;
          }
        });
    Row(dbias, width) = sums.segment(0, width);
    Row(dgamma, width) = sums.segment(width, width);
    Row(dbeta, width) = sums.segment(2 * width, width);
  }
};

// ---- gelu(x + bias), tanh approximation (Hendrycks and Gimpel 2016) ----

// gelu(z) = z * sigmoid(2 u) with u = sqrt(2 / pi) (z + 0.044715 z^3), because (1 + tanh(u)) / 2 = sigmoid(2 u).
constexpr float kTwiceRootTwoOverPi = 1.5957691216057308f;
constexpr float kCubic = 0.044715f;

class BertBiasGelu : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const TensorShape shape = context->input(0).shape();
    const int64 tokens = shape.dim_size(0), width = shape.dim_size(1);
    const float* x = Input(context, 0);
    const ConstRow bias(Input(context, 1), width);
    float* y = Allocate(context, 0, shape);
    if (!context->status().ok()) return;
    Parallel(context, tokens, width * 10, [&](int64 begin, int64 end) {
      RowBuffer z(width);
      for (int64 token = begin; token < end; ++token) {
        z = ConstRow(x + token * width, width) + bias;
        Row(y + token * width, width) = z / ((z * (z.square() * kCubic + 1.0f) * -kTwiceRootTwoOverPi).exp() + 1.0f);
      }
    });
  }
};

class BertBiasGeluGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  // Inputs: dy, x, bias. Outputs: dx, dbias.
  void Compute(OpKernelContext* context) override {
    const TensorShape shape = context->input(0).shape();
    const int64 tokens = shape.dim_size(0), width = shape.dim_size(1);
    const float *dy = Input(context, 0), *x = Input(context, 1);
    const ConstRow bias(Input(context, 2), width);
    float* dx = Allocate(context, 0, shape);
    float* dbias = Allocate(context, 1, TensorShape({width}));
    if (!context->status().ok()) return;
    Row(dbias, width) = ParallelSums(context, tokens, width, width * 14, [&](int64 begin, int64 end, float* partial) {
      Row sum(partial, width);
      RowBuffer z(width), square(width), sigmoid(width);
      for (int64 token = begin; token < end; ++token) {
        const int64 at = token * width;
        z = ConstRow(x + at, width) + bias;
        square = z.square();
        sigmoid = ((z * (square * kCubic + 1.0f) * -kTwiceRootTwoOverPi).exp() + 1.0f).inverse();
        Row dx_row(dx + at, width);
        dx_row = ConstRow(dy + at, width) * sigmoid *
                 (1.0f + z * (1.0f - sigmoid) * (square * (3.0f * kCubic) + 1.0f) * kTwiceRootTwoOverPi);
        sum += dx_row;
      }
    });
  }
};

// ---- Multi-head attention within each pair ----

// What one head of one pair works on: queries [rows, size], scaled, keys and values [columns, size]; biases are added.
struct Head {
  Matrix query, key, value;
};

class AttentionKernel : public DropoutKernel {
 public:
  explicit AttentionKernel(OpKernelConstruction* construction) : DropoutKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("heads", &heads_));
  }

 protected:
  int heads_;
};

// Where the tokens and the dropout elements of each pair stand.
struct Sizes {
  // Whether the offsets at this input divide `tokens` tokens among some pairs.
  static bool Divides(const Tensor& offsets, int64 tokens) {
    const auto at = offsets.flat<int32>();
    if (at.size() == 0 || at(0) != 0 || at(at.size() - 1) != tokens) return false;
    return std::is_sorted(at.data(), at.data() + at.size());
  }

  // The inputs from `first` on are those of the forward computation.
  static Status Verify(OpKernelContext* context, int first) {
    const Tensor &query = context->input(first), &key_value = context->input(first + 2);
    const Tensor &query_offsets = context->input(first + 4), &offsets = context->input(first + 5);
    if (query_offsets.NumElements() == offsets.NumElements() && Divides(query_offsets, query.dim_size(0)) &&
        Divides(offsets, key_value.dim_size(0))) {
      return Status::OK();
    }
    return InvalidArgument("offsets ", offsets.SummarizeValue(9), " and query_offsets ",
                           query_offsets.SummarizeValue(9), " do not divide ", key_value.dim_size(0), " tokens and ",
                           query.dim_size(0), " queries among the same pairs");
  }

  const int32 *query_offsets, *offsets;
  int64 pairs, width, size;
  std::vector<int64> start;  // of each pair's dropout elements
  float scale;

  Sizes(OpKernelContext* context, int first, int heads) {
    query_offsets = context->input(first + 4).flat<int32>().data();
    offsets = context->input(first + 5).flat<int32>().data();
    pairs = context->input(first + 5).NumElements() - 1;
    width = context->input(first).dim_size(1);
    size = width / heads;
    scale = 1.0f / std::sqrt(static_cast<float>(size));
    start.push_back(0);
    for (int64 i = 0; i < pairs; ++i) start.push_back(start.back() + heads * int64{Rows(i)} * Columns(i));
  }
  int Rows(int64 pair) const { return query_offsets[pair + 1] - query_offsets[pair]; }
  int Columns(int64 pair) const { return offsets[pair + 1] - offsets[pair]; }
  int64 Cycles() const { return (start.back() / std::max<int64>(1, pairs)) * size / 2 + 1000; }
};

// Inputs: query [queries, width], query_bias, key_value [tokens, 2 width], key_value_bias, query_offsets, offsets,
// seed.
void Load(OpKernelContext* context, int first, const Sizes& s, int64 pair, int64 head, Head* h) {
  const int64 rows = s.Rows(pair), columns = s.Columns(pair), at = head * s.size;
  const Eigen::Map<const Eigen::RowVectorXf> query_bias(Input(context, first + 1) + at, s.size),
      key_bias(Input(context, first + 3) + at, s.size), value_bias(Input(context, first + 3) + s.width + at, s.size);
  const float* query = Input(context, first) + s.query_offsets[pair] * s.width + at;
  const float* key_value = Input(context, first + 2) + int64{s.offsets[pair]} * 2 * s.width + at;
  h->query = ((ConstStrided(query, rows, s.size, Eigen::OuterStride<>(s.width)).rowwise() + query_bias) * s.scale);
  h->key = ConstStrided(key_value, columns, s.size, Eigen::OuterStride<>(2 * s.width)).rowwise() + key_bias;
  h->value =
      ConstStrided(key_value + s.width, columns, s.size, Eigen::OuterStride<>(2 * s.width)).rowwise() + value_bias;
}

class BertAttention : public AttentionKernel {
 public:
  using AttentionKernel::AttentionKernel;

  // Outputs: context [queries, width], log_sum [queries, heads]: the logarithm of the softmax's denominator.
  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Sizes::Verify(context, 0));
    const Sizes s(context, 0, heads_);
    const Dropout dropout(rate_, context->input(6));
    const int64 queries = context->input(0).dim_size(0);
    float* output = Allocate(context, 0, TensorShape({queries, s.width}));
    float* log_sum = Allocate(context, 1, TensorShape({queries, heads_}));
    if (!context->status().ok()) return;
    Parallel(context, s.pairs * heads_, s.Cycles(), [&](int64 begin, int64 end) {
      Head h;
      Matrix weights;
      for (int64 unit = begin; unit < end; ++unit) {
        const int64 pair = unit / heads_, head = unit % heads_, rows = s.Rows(pair), columns = s.Columns(pair);
        Load(context, 0, s, pair, head, &h);
        weights.noalias() = h.query * h.key.transpose();
        RowBuffer factors(columns);
        for (int64 row = 0; row < rows; ++row) {
          auto w = weights.row(row).array();
          const float largest = w.maxCoeff();
          w = (w - largest).exp();
          const float sum = w.sum();
          log_sum[(s.query_offsets[pair] + row) * heads_ + head] = largest + std::log(sum);
          dropout.Fill(s.start[pair] + (head * rows + row) * columns, columns, factors.data());
          w *= factors * (1.0f / sum);
        }
        Strided(output + s.query_offsets[pair] * s.width + head * s.size, rows, s.size, Eigen::OuterStride<>(s.width))
            .noalias() = weights * h.value;
      }
    });
  }
};

class BertAttentionGrad : public AttentionKernel {
 public:
  using AttentionKernel::AttentionKernel;

  // Inputs: dcontext, those of the forward computation, context, log_sum. Outputs: dquery, dkey_value.
  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, Sizes::Verify(context, 1));
    const Sizes s(context, 1, heads_);
    const Dropout dropout(rate_, context->input(7));
    const float *dcontext = Input(context, 0), *forward = Input(context, 8), *log_sum = Input(context, 9);
    float* dquery = Allocate(context, 0, context->input(1).shape());
    float* dkey_value = Allocate(context, 1, context->input(3).shape());
    if (!context->status().ok()) return;
    Parallel(context, s.pairs * heads_, 3 * s.Cycles(), [&](int64 begin, int64 end) {
      Head h;
      Matrix weights, dropped, dweights;
      for (int64 unit = begin; unit < end; ++unit) {
        const int64 pair = unit / heads_, head = unit % heads_, rows = s.Rows(pair), columns = s.Columns(pair);
        const int64 at = s.query_offsets[pair] * s.width + head * s.size;
        const Eigen::OuterStride<> stride(s.width), stride2(2 * s.width);
        const ConstStrided dy(dcontext + at, rows, s.size, stride), y(forward + at, rows, s.size, stride);
        Load(context, 1, s, pair, head, &h);
        weights.noalias() = h.query * h.key.transpose();
        dweights.noalias() = dy * h.value.transpose();
        dropped.resize(rows, columns);
        RowBuffer factors(columns);
        for (int64 row = 0; row < rows; ++row) {
          auto w = weights.row(row).array(), d = dweights.row(row).array();
          w = (w - log_sum[(s.query_offsets[pair] + row) * heads_ + head]).exp();
          dropout.Fill(s.start[pair] + (head * rows + row) * columns, columns, factors.data());
          dropped.row(row).array() = w * factors;
          // The softmax's gradient subtracts sum(w * dw), which is the inner product of the output and its gradient.
          d = w * (d * factors - dy.row(row).dot(y.row(row)));
        }
        float* dkv = dkey_value + int64{s.offsets[pair]} * 2 * s.width + head * s.size;
        Strided(dquery + at, rows, s.size, stride).noalias() = (dweights * h.key) * s.scale;
        Strided(dkv, columns, s.size, stride2).noalias() = dweights.transpose() * h.query;
        Strided(dkv + s.width, columns, s.size, stride2).noalias() = dropped.transpose() * dy;
      }
    });
  }
};

// ---- Adam with decoupled weight decay (Loshchilov and Hutter 2019), in the order of computation of Kingma and Ba 2015
// ----

struct Adam {
  float rate, corrected_rate, decay, gain1, gain2, epsilon;  // the gains are 1 - beta

  void Step(int64 count, float* variable, float* m, float* v, const float* gradient) const {
    Row x(variable, count), first(m, count), second(v, count);
    const ConstRow g(gradient, count);
    first += (g - first) * gain1;
    second += (g.square() - second) * gain2;
    x -= x * (rate * decay) + first / (second.sqrt() + epsilon) * corrected_rate;
  }
};

class AdamKernel : public OpKernel {
 public:
  explicit AdamKernel(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("decay", &decay_));
    OP_REQUIRES_OK(construction, construction->GetAttr("gain1", &gain1_));
    OP_REQUIRES_OK(construction, construction->GetAttr("gain2", &gain2_));
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
  }

 protected:
  Adam Read(OpKernelContext* context) const {
    const float rate = *Input(context, 3), power1 = *Input(context, 4), power2 = *Input(context, 5);
    return {rate, rate * std::sqrt(1.0f - power2) / (1.0f - power1), decay_, gain1_, gain2_, epsilon_};
  }

  float decay_, gain1_, gain2_, epsilon_;
};

// Inputs: variable, m, v (references), rate, power1, power2, gradient.
class BertApplyAdam : public AdamKernel {
 public:
  using AdamKernel::AdamKernel;

  void Compute(OpKernelContext* context) override {
    context->forward_ref_input_to_ref_output(0, 0);
    Tensor variable = context->mutable_input(0, false), m = context->mutable_input(1, false),
           v = context->mutable_input(2, false);
    const Tensor& gradient = context->input(6);
    OP_REQUIRES(
        context, gradient.NumElements() == variable.NumElements(),
        InvalidArgument("gradient ", gradient.shape().DebugString(), " of variable ", variable.shape().DebugString()));
    const Adam adam = Read(context);
    float *x = variable.flat<float>().data(), *first = m.flat<float>().data(), *second = v.flat<float>().data();
    const float* g = gradient.flat<float>().data();
    Parallel(context, variable.NumElements(), 6, [&](int64 begin, int64 end) {
      adam.Step(end - begin, x + begin, first + begin, second + begin, g + begin);
    });
  }
};

// The same for a table of which a step reads few rows, some of them several times: indices [reads], gradient [reads,
// width].
class BertApplyAdamRows : public AdamKernel {
 public:
  using AdamKernel::AdamKernel;

  void Compute(OpKernelContext* context) override {
    context->forward_ref_input_to_ref_output(0, 0);
    Tensor variable = context->mutable_input(0, false), m = context->mutable_input(1, false),
           v = context->mutable_input(2, false);
    const int64 rows = variable.dim_size(0), width = variable.dim_size(1), reads = context->input(7).NumElements();
    OP_REQUIRES(
        context, context->input(6).NumElements() == reads * width,
        InvalidArgument("gradient ", context->input(6).shape().DebugString(), " for ", reads, " rows of ", width));
    const auto indices = context->input(7).flat<int32>();
    std::vector<std::vector<int32>> reads_of(rows);  // in order, so that sums do not depend on threads
    for (int64 read = 0; read < reads; ++read) {
      OP_REQUIRES(context, indices(read) >= 0 && indices(read) < rows,
                  InvalidArgument("row ", indices(read), " of ", rows));
      reads_of[indices(read)].push_back(read);
    }
    const Adam adam = Read(context);
    float *x = variable.flat<float>().data(), *first = m.flat<float>().data(), *second = v.flat<float>().data();
    const float* gradient = Input(context, 6);
    Parallel(context, rows, 6 * width, [&](int64 begin, int64 end) {
      RowBuffer sum(width);
      for (int64 row = begin; row < end; ++row) {
        sum.setZero();
        for (int32 read : reads_of[row]) sum += ConstRow(gradient + read * width, width);
        adam.Step(width, x + row * width, first + row * width, second + row * width, sum.data());
      }
    });
  }
};

// ---- Shapes ----

Status SameAs(InferenceContext* c, int output, int input) {
  c->set_output(output, c->input(input));
  return Status::OK();
}

// Checks that input `matrix` is [tokens, width] and each of these vectors [width].
Status HasWidth(InferenceContext* c, int matrix, std::initializer_list<int> vectors) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(matrix), 2, &shape));
  for (int vector : vectors) {
    ShapeHandle ignored_shape;
    DimensionHandle ignored;
    TF_RETURN_IF_ERROR(c->WithRank(c->input(vector), 1, &ignored_shape));
    TF_RETURN_IF_ERROR(c->Merge(c->Dim(shape, 1), c->Dim(c->input(vector), 0), &ignored));
  }
  return Status::OK();
}

}  // namespace

REGISTER_OP("BertDropout")
    .Input("x: float")
    .Input("seed: int32")
    .Output("y: float")
    .Attr("rate: float")
    .SetShapeFn([](InferenceContext* c) { return SameAs(c, 0, 0); });
REGISTER_KERNEL_BUILDER(Name("BertDropout").Device(DEVICE_CPU), BertDropout);

REGISTER_OP("BertAddNorm")
    .Input("x: float")
    .Input("bias: float")
    .Input("residual: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("seed: int32")
    .Output("y: float")
    .Output("mean: float")
    .Output("inverse: float")
    .Attr("rate: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(HasWidth(c, 0, {1, 3, 4}));
      ShapeHandle ignored;
      TF_RETURN_IF_ERROR(c->Merge(c->input(0), c->input(2), &ignored));
      c->set_output(1, c->Vector(c->Dim(c->input(0), 0)));
      c->set_output(2, c->Vector(c->Dim(c->input(0), 0)));
      return SameAs(c, 0, 0);
    });
REGISTER_KERNEL_BUILDER(Name("BertAddNorm").Device(DEVICE_CPU), BertAddNorm);

REGISTER_OP("BertAddNormGrad")
    .Input("dy: float")
    .Input("x: float")
    .Input("bias: float")
    .Input("residual: float")
    .Input("gamma: float")
    .Input("seed: int32")
    .Input("mean: float")
    .Input("inverse: float")
    .Output("dx: float")
    .Output("dbias: float")
    .Output("dresidual: float")
    .Output("dgamma: float")
    .Output("dbeta: float")
    .Attr("rate: float")
    .SetShapeFn([](InferenceContext* c) {
      for (int output : {1, 3, 4}) c->set_output(output, c->input(2));
      c->set_output(2, c->input(0));
      return SameAs(c, 0, 0);
    });
REGISTER_KERNEL_BUILDER(Name("BertAddNormGrad").Device(DEVICE_CPU), BertAddNormGrad);

REGISTER_OP("BertBiasGelu")
    .Input("x: float")
    .Input("bias: float")
    .Output("y: float")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(HasWidth(c, 0, {1}));
      return SameAs(c, 0, 0);
    });
REGISTER_KERNEL_BUILDER(Name("BertBiasGelu").Device(DEVICE_CPU), BertBiasGelu);

REGISTER_OP("BertBiasGeluGrad")
    .Input("dy: float")
    .Input("x: float")
    .Input("bias: float")
    .Output("dx: float")
    .Output("dbias: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(1, c->input(2));
      return SameAs(c, 0, 0);
    });
REGISTER_KERNEL_BUILDER(Name("BertBiasGeluGrad").Device(DEVICE_CPU), BertBiasGeluGrad);

REGISTER_OP("BertAttention")
    .Input("query: float")
    .Input("query_bias: float")
    .Input("key_value: float")
    .Input("key_value_bias: float")
    .Input("query_offsets: int32")
    .Input("offsets: int32")
    .Input("seed: int32")
    .Output("context: float")
    .Output("log_sum: float")
    .Attr("heads: int >= 1")
    .Attr("rate: float")
    .SetShapeFn([](InferenceContext* c) {
      int heads;
      TF_RETURN_IF_ERROR(c->GetAttr("heads", &heads));
      TF_RETURN_IF_ERROR(HasWidth(c, 0, {1}));
      TF_RETURN_IF_ERROR(HasWidth(c, 2, {3}));
      DimensionHandle ignored, twice;
      TF_RETURN_IF_ERROR(c->Divide(c->Dim(c->input(0), 1), heads, true, &ignored));
      TF_RETURN_IF_ERROR(c->Multiply(c->Dim(c->input(0), 1), 2, &twice));
      TF_RETURN_IF_ERROR(c->Merge(c->Dim(c->input(2), 1), twice, &ignored));
      c->set_output(1, c->Matrix(c->Dim(c->input(0), 0), heads));
      return SameAs(c, 0, 0);
    });
REGISTER_KERNEL_BUILDER(Name("BertAttention").Device(DEVICE_CPU), BertAttention);

REGISTER_OP("BertAttentionGrad")
    .Input("dcontext: float")
    .Input("query: float")
    .Input("query_bias: float")
    .Input("key_value: float")
    .Input("key_value_bias: float")
    .Input("query_offsets: int32")
    .Input("offsets: int32")
    .Input("seed: int32")
    .Input("context: float")
    .Input("log_sum: float")
    .Output("dquery: float")
    .Output("dkey_value: float")
    .Attr("heads: int >= 1")
    .Attr("rate: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(1, c->input(3));
      return SameAs(c, 0, 1);
    });
REGISTER_KERNEL_BUILDER(Name("BertAttentionGrad").Device(DEVICE_CPU), BertAttentionGrad);

REGISTER_OP("BertApplyAdam")
    .Input("variable: Ref(float)")
    .Input("m: Ref(float)")
    .Input("v: Ref(float)")
    .Input("rate: float")
    .Input("power1: float")
    .Input("power2: float")
    .Input("gradient: float")
    .Output("updated: Ref(float)")
    .Attr("decay: float")
    .Attr("gain1: float")
    .Attr("gain2: float")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) { return SameAs(c, 0, 0); });
REGISTER_KERNEL_BUILDER(Name("BertApplyAdam").Device(DEVICE_CPU), BertApplyAdam);

REGISTER_OP("BertApplyAdamRows")
    .Input("variable: Ref(float)")
    .Input("m: Ref(float)")
    .Input("v: Ref(float)")
    .Input("rate: float")
    .Input("power1: float")
    .Input("power2: float")
    .Input("gradient: float")
    .Input("indices: int32")
    .Output("updated: Ref(float)")
    .Attr("decay: float")
    .Attr("gain1: float")
    .Attr("gain2: float")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) { return SameAs(c, 0, 0); });
REGISTER_KERNEL_BUILDER(Name("BertApplyAdamRows").Device(DEVICE_CPU), BertApplyAdamRows);
