#include "blob.h"

#include <stdlib.h>
#include <string.h>

struct blob *blob_new(size_t size)
{
    struct blob *blob = malloc(sizeof(*blob) + size + 1);
    if (!blob)
        return NULL;
    blob->refs = 1;
    blob->size = size;
    blob->data[size] = '\0';
    return blob;
}

struct blob *blob_copy(const char *data, size_t size)
{
    struct blob *blob = blob_new(size);
    if (blob && size > 0)
        memcpy(blob->data, data, size);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    if (blob)
        blob->refs++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob && --blob->refs == 0)
        free(blob);
}
