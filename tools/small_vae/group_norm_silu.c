/* Group normalisation followed by SiLU, forward and backward, on bfloat16 images of shape (batch, pixels, channels).
   Two passes over memory each way; sums in float. Channels: 16, 32, 64 or 128. */

#include <math.h>
#include <stdint.h>

#define CHANNELS_MAX 128

static inline float widened(uint16_t value) {
    union { uint32_t bits; float number; } both = {(uint32_t)value << 16};
    return both.number;
}

static inline uint16_t rounded(float value) {
    union { float number; uint32_t bits; } both = {value};
    return (uint16_t)((both.bits + 0x7fff + ((both.bits >> 16) & 1)) >> 16);
}

static inline void spread_over_groups(float *values, long channels, long groups) {
    long width = channels / groups;
    for (long g = 0; g < groups; g++) {
        float mean = 0;
        for (long c = 0; c < width; c++) mean += values[g * width + c] / width;
        for (long c = 0; c < width; c++) values[g * width + c] = mean;
    }
}

static inline __attribute__((always_inline)) void forward_image(
    const uint16_t *x, uint16_t *y, const float *weight, const float *bias, float *mean, float *inverse_std,
    long pixels, long channels, long groups, float eps) {
    float squares[CHANNELS_MAX] = {0}, scale[CHANNELS_MAX], shift[CHANNELS_MAX];
    for (long c = 0; c < channels; c++) mean[c] = 0;
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < channels; c++) {
            float value = widened(x[p * channels + c]);
            mean[c] += value;
            squares[c] += value * value;
        }
    for (long c = 0; c < channels; c++) { mean[c] /= pixels; squares[c] /= pixels; }
    spread_over_groups(mean, channels, groups);
    spread_over_groups(squares, channels, groups);
    for (long c = 0; c < channels; c++) {
        inverse_std[c] = 1 / sqrtf(fmaxf(squares[c] - mean[c] * mean[c], 0) + eps);
        scale[c] = weight[c] * inverse_std[c];
        shift[c] = bias[c] - mean[c] * scale[c];
    }
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < channels; c++) {
            float z = widened(x[p * channels + c]) * scale[c] + shift[c];
            y[p * channels + c] = rounded(z / (1 + expf(-z)));
        }
}

static inline __attribute__((always_inline)) void backward_image(
    const uint16_t *dy, const uint16_t *x, uint16_t *dx, const float *weight, const float *bias, const float *mean,
    const float *inverse_std, float *dweight, float *dbias, long pixels, long channels, long groups) {
    float scale[CHANNELS_MAX], shift[CHANNELS_MAX], sum[CHANNELS_MAX] = {0}, sum_x[CHANNELS_MAX] = {0};
    for (long c = 0; c < channels; c++) {
        scale[c] = weight[c] * inverse_std[c];
        shift[c] = bias[c] - mean[c] * scale[c];
    }
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < channels; c++) {
            float value = widened(x[p * channels + c]);
            float z = value * scale[c] + shift[c];
            float sigmoid = 1 / (1 + expf(-z));
            float dz = widened(dy[p * channels + c]) * sigmoid * (1 + z * (1 - sigmoid));
            sum[c] += dz;
            sum_x[c] += dz * value;
            dx[p * channels + c] = rounded(dz);
        }
    float a[CHANNELS_MAX], b[CHANNELS_MAX];
    for (long c = 0; c < channels; c++) {
        float normalised = (sum_x[c] - sum[c] * mean[c]) * inverse_std[c];
        dweight[c] += normalised;
        dbias[c] += sum[c];
        a[c] = sum[c] * weight[c] / pixels;
        b[c] = normalised * weight[c] / pixels;
    }
    spread_over_groups(a, channels, groups);
    spread_over_groups(b, channels, groups);
    for (long c = 0; c < channels; c++) {
        b[c] *= -inverse_std[c] * inverse_std[c];
        a[c] = -inverse_std[c] * a[c] - b[c] * mean[c];
    }
    for (long p = 0; p < pixels; p++)
        for (long c = 0; c < channels; c++) {
            long i = p * channels + c;
            dx[i] = rounded(widened(dx[i]) * scale[c] + widened(x[i]) * b[c] + a[c]);
        }
}

#define FOR_EACH_WIDTH(CALL) \
    switch (channels) { case 16: CALL(16); break; case 32: CALL(32); break; case 64: CALL(64); break; default: CALL(128); }

void forward(const uint16_t *x, uint16_t *y, const float *weight, const float *bias, float *mean, float *inverse_std,
             long batch, long pixels, long channels, long groups, float eps) {
    for (long n = 0; n < batch; n++) {
        long at = n * pixels * channels, row = n * channels;
#define FORWARD(C) forward_image(x + at, y + at, weight, bias, mean + row, inverse_std + row, pixels, C, groups, eps)
        FOR_EACH_WIDTH(FORWARD)
    }
}

void backward(const uint16_t *dy, const uint16_t *x, uint16_t *dx, const float *weight, const float *bias,
              const float *mean, const float *inverse_std, float *dweight, float *dbias, long batch, long pixels,
              long channels, long groups) {
    for (long n = 0; n < batch; n++) {
        long at = n * pixels * channels, row = n * channels;
#define BACKWARD(C) backward_image(dy + at, x + at, dx + at, weight, bias, mean + row, inverse_std + row, dweight, dbias, pixels, C, groups)
        FOR_EACH_WIDTH(BACKWARD)
    }
}
