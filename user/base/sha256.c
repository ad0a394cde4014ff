#include "base/sha256.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>

static EVP_MD *algorithm; // looked up once, and kept

static void to_text(const uint8_t *digest, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_BYTES; i++) {
        *ret_text++ = digits[digest[i] >> 4];
        *ret_text++ = digits[digest[i] & 15];
    }
    *ret_text = '\0';
}

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

// NULL: the library does not do it.
static EVP_MD_CTX *begin(void)
{
    if (!algorithm)
        algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *context = algorithm ? EVP_MD_CTX_new() : NULL;
    if (context && !EVP_DigestInit_ex(context, algorithm, NULL))
        free_context(&context), context = NULL;
    return context;
}

static int end(EVP_MD_CTX *context, char *ret_text)
{
    uint8_t digest[SHA256_BYTES];
    if (!EVP_DigestFinal_ex(context, digest, NULL))
        return -EIO;
    to_text(digest, ret_text);
    return 0;
}

int sha256_text(const void *data, size_t size, char ret_text[SHA256_TEXT_SIZE])
{
    EVP_MD_CTX *context _cleanup_(free_context) = begin();
    if (!context || !EVP_DigestUpdate(context, data, size))
        return -EIO;
    return end(context, ret_text);
}

int sha256_file(const char *path, char ret_text[SHA256_TEXT_SIZE])
{
    EVP_MD_CTX *context _cleanup_(free_context) = begin();
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    char bytes[16384];
    ssize_t count;
    while ((count = read(fd, bytes, sizeof(bytes))) > 0)
        if (!context || !EVP_DigestUpdate(context, bytes, (size_t)count))
            return -EIO;
    if (count < 0)
        return -errno;
    return context ? end(context, ret_text) : -EIO;
}
