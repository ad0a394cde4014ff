#include "families.h"

#include <stdlib.h>
#include <string.h>

static void family_free(struct family *family)
{
    text_free(&family->body);
    free(family->name);
    free(family);
}

static struct family *family_new(struct families *families, const struct series_family *declared)
{
    if (families->count == FAMILIES_MAX)
        return NULL;
    struct family *family = calloc(1, sizeof(*family));
    char *name = strdup(declared->name);
    if (!family || !name) {
        free(family);
        free(name);
        return NULL;
    }
    family->name = name;
    family->type = declared->type;
    family->body.max = families->room;
    families->head(families, family, declared);
    if (family->body.truncated) {
        family_free(family);
        return NULL;
    }
    families->room -= family->body.length;
    families->at[families->count++] = family;
    return family;
}

void families_open(struct series_writer *writer, const struct series_family *declared)
{
    struct families *families = (struct families *)writer;
    for (size_t i = 0; i < families->count; i++) {
        struct family *family = families->at[i];
        if (strcmp(family->name, declared->name) == 0) {
            families->current = family->type == declared->type ? family : NULL;
            return;
        }
    }
    families->current = family_new(families, declared);
}

struct text *families_begin(struct families *families, bool histogram)
{
    struct family *family = families->current;
    if (!family || (family->type == SERIES_HISTOGRAM) != histogram) {
        families->left_out->value++;
        return NULL;
    }
    families->before = family->body.length;
    family->body.max = family->body.length + families->room;
    return &family->body;
}

void families_end(struct families *families)
{
    struct text *body = &families->current->body;
    if (body->truncated) {
        families->left_out->value++;
        body->length = families->before;
        body->truncated = false;
        return;
    }
    families->current->any = true;
    families->room -= body->length - families->before;
}

void families_free(struct families *families)
{
    while (families->count)
        family_free(families->at[--families->count]);
}
