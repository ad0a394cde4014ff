// Writes a tiny model: the architecture of llama, random weights and made-up words. The format is GGUF
// version 3 (ggml's docs/gguf.md). Its answers mean nothing, but each is as long as was asked for.
#include "root.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    WIDTH = 128,
    LAYERS = 4,
    HEADS = 4,
    HEADS_KV = 2,
    WIDTH_KV = WIDTH / HEADS * HEADS_KV,
    WIDTH_FF = 384,
    CONTEXT = 2048,
    // <unk> <s> </s>, a token for each byte, a blank, and words.
    TOKEN_BOS = 1,
    TOKEN_EOS = 2,
    BYTES_FIRST = 3,
    WORDS_FIRST = BYTES_FIRST + 256,
    WORDS = 254,
    VOCABULARY = WORDS_FIRST + WORDS,
    TENSORS = 3 + 9 * LAYERS,
    ALIGNMENT = 32,
};

enum gguf_type {
    GGUF_UINT32 = 4,
    GGUF_INT32 = 5,
    GGUF_FLOAT32 = 6,
    GGUF_BOOL = 7,
    GGUF_STRING = 8,
    GGUF_ARRAY = 9
};
enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6 };

struct model {
    FILE *file;
    uint64_t random;
    uint32_t pairs;  // of the metadata
    uint64_t offset; // of the next tensor
    bool data;       // the second pass over the tensors, which writes their numbers
};

static uint32_t next_random(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)(model->random >> 32);
}

static void put(struct model *model, const void *bytes, size_t size)
{
    fwrite(bytes, 1, size, model->file); // an error shows at the end
}

static void put_u32(struct model *model, uint32_t value)
{
    put(model, &value, sizeof(value));
}

static void put_u64(struct model *model, uint64_t value)
{
    put(model, &value, sizeof(value));
}

static void put_float(struct model *model, float value)
{
    put(model, &value, sizeof(value));
}

static void put_text(struct model *model, const char *text)
{
    put_u64(model, strlen(text));
    put(model, text, strlen(text));
}

static void pad(struct model *model)
{
    static const char zeros[ALIGNMENT];
    put(model, zeros, (size_t)(-ftell(model->file) & (ALIGNMENT - 1)));
}

// --- Metadata ---

static void put_key(struct model *model, const char *key, enum gguf_type type)
{
    put_text(model, key);
    put_u32(model, type);
    model->pairs++;
}

static void put_number(struct model *model, const char *key, uint32_t value)
{
    put_key(model, key, GGUF_UINT32);
    put_u32(model, value);
}

static void put_string(struct model *model, const char *key, const char *value)
{
    put_key(model, key, GGUF_STRING);
    put_text(model, value);
}

static void put_truth(struct model *model, const char *key, bool value)
{
    put_key(model, key, GGUF_BOOL);
    put(model, &value, 1);
}

static void put_array(struct model *model, const char *key, enum gguf_type type)
{
    put_key(model, key, GGUF_ARRAY);
    put_u32(model, type);
    put_u64(model, VOCABULARY);
}

// U+2581 stands for a blank; the words are the numbers of 20 syllables, so no two are the same.
static void token_text(int token, char *ret_text, size_t size)
{
    static const char *const syllables[] = {"ba", "ke", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu",
                                            "na", "pe", "ri", "so", "tu", "va", "we", "zi", "bo", "du"};
    static const char *const special[] = {"<unk>", "<s>", "</s>"};
    int word = token - WORDS_FIRST - 1;
    if (token < BYTES_FIRST)
        snprintf(ret_text, size, "%s", special[token]);
    else if (token < WORDS_FIRST)
        snprintf(ret_text, size, "<0x%02X>", token - BYTES_FIRST);
    else if (word < 0)
        snprintf(ret_text, size, "\u2581");
    else
        snprintf(ret_text, size, "\u2581%s%s", syllables[word / 20], syllables[word % 20]);
}

static enum token_type token_type(int token)
{
    if (token == 0)
        return TOKEN_UNKNOWN;
    return token < BYTES_FIRST ? TOKEN_CONTROL : token < WORDS_FIRST ? TOKEN_BYTE : TOKEN_NORMAL;
}

static void put_tokenizer(struct model *model)
{
    put_string(model, "tokenizer.ggml.model", "llama");
    put_array(model, "tokenizer.ggml.tokens", GGUF_STRING);
    for (int token = 0; token < VOCABULARY; token++) {
        char text[32];
        token_text(token, text, sizeof(text));
        put_text(model, text);
    }
    put_array(model, "tokenizer.ggml.scores", GGUF_FLOAT32);
    for (int token = 0; token < VOCABULARY; token++)
        put_float(model, token < WORDS_FIRST ? 0 : (float)(WORDS_FIRST - 1 - token));
    put_array(model, "tokenizer.ggml.token_type", GGUF_INT32);
    for (int token = 0; token < VOCABULARY; token++)
        put_u32(model, token_type(token));
    put_number(model, "tokenizer.ggml.bos_token_id", TOKEN_BOS);
    put_number(model, "tokenizer.ggml.eos_token_id", TOKEN_EOS);
    put_number(model, "tokenizer.ggml.unknown_token_id", 0);
    put_truth(model, "tokenizer.ggml.add_bos_token", true);
    put_truth(model, "tokenizer.ggml.add_eos_token", false);
    put_string(model, "tokenizer.chat_template",
               "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
               "{% if add_generation_prompt %}[assistant] {% endif %}");
}

static void put_metadata(struct model *model)
{
    put_string(model, "general.architecture", "llama");
    put_string(model, "general.name", "tiny");
    put_number(model, "general.file_type", 0);
    put_number(model, "llama.context_length", CONTEXT);
    put_number(model, "llama.embedding_length", WIDTH);
    put_number(model, "llama.block_count", LAYERS);
    put_number(model, "llama.feed_forward_length", WIDTH_FF);
    put_number(model, "llama.attention.head_count", HEADS);
    put_number(model, "llama.attention.head_count_kv", HEADS_KV);
    put_number(model, "llama.rope.dimension_count", WIDTH / HEADS);
    put_number(model, "llama.vocab_size", VOCABULARY);
    put_key(model, "llama.attention.layer_norm_rms_epsilon", GGUF_FLOAT32);
    put_float(model, 1e-5f);
    put_tokenizer(model);
}

// --- Tensors ---

// Whether a row of the output matrix may be chosen: words only, so that what comes out is text.
static bool is_spoken(const char *name, int row)
{
    return strcmp(name, "output.weight") != 0 || row > WORDS_FIRST;
}

// `spread` is the weights' standard deviation; 0 makes all of them 1. A sum of four even numbers is near
// enough to a normal one.
static void put_tensor(struct model *model, const char *name, int columns, int rows, float spread)
{
    if (!model->data) {
        put_text(model, name);
        put_u32(model, rows > 1 ? 2 : 1);
        put_u64(model, (uint64_t)columns);
        if (rows > 1)
            put_u64(model, (uint64_t)rows);
        put_u32(model, 0); // 32-bit floats
        put_u64(model, model->offset);
        model->offset += (uint64_t)columns * (uint64_t)rows * sizeof(float); // a multiple of ALIGNMENT
        return;
    }
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            float sum = 0;
            for (int i = 0; i < 4; i++)
                sum += (float)next_random(model) / (float)UINT32_MAX - 0.5f;
            put_float(model, spread == 0 ? 1 : is_spoken(name, row) ? sum * 1.732f * spread : 0);
        }
}

static void put_tensors(struct model *model)
{
    const float spread = 0.088f, spread_ff = 0.051f; // 1/sqrt(128), 1/sqrt(384)
    put_tensor(model, "token_embd.weight", WIDTH, VOCABULARY, 1);
    for (int i = 0; i < LAYERS; i++) {
        const struct {
            const char *name;
            int columns, rows;
            float spread;
        } parts[] = {{"attn_norm", WIDTH, 1, 0},
                     {"attn_q", WIDTH, WIDTH, spread},
                     {"attn_k", WIDTH, WIDTH_KV, spread},
                     {"attn_v", WIDTH, WIDTH_KV, spread},
                     {"attn_output", WIDTH, WIDTH, spread},
                     {"ffn_norm", WIDTH, 1, 0},
                     {"ffn_gate", WIDTH, WIDTH_FF, spread},
                     {"ffn_up", WIDTH, WIDTH_FF, spread},
                     {"ffn_down", WIDTH_FF, WIDTH, spread_ff}};
        for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
            char name[64];
            snprintf(name, sizeof(name), "blk.%d.%s.weight", i, parts[part].name);
            put_tensor(model, name, parts[part].columns, parts[part].rows, parts[part].spread);
        }
    }
    put_tensor(model, "output_norm.weight", WIDTH, 1, 0);
    put_tensor(model, "output.weight", WIDTH, VOCABULARY, 5 * spread);
}

int root_write_model(const char *path)
{
    struct model model = {.file = fopen(path, "we"), .random = 0x9e3779b97f4a7c15};
    if (!model.file)
        return -errno;
    put(&model, "GGUF", 4);
    put_u32(&model, 3);
    put_u64(&model, TENSORS);
    long pairs_at = ftell(model.file);
    put_u64(&model, 0); // the number of pairs, which is known below
    put_metadata(&model);
    put_tensors(&model);
    pad(&model);
    model.data = true;
    put_tensors(&model);
    bool good = fseek(model.file, pairs_at, SEEK_SET) == 0;
    put_u64(&model, model.pairs);
    good = good && !ferror(model.file);
    return fclose(model.file) || !good ? -EIO : 0;
}
