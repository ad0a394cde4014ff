// Reading what a rule compares with as the type of the field. Each: 0 or -EINVAL.
#pragma once

#include "event.h"

int operand_int(const char *text, int64_t *ret_number);
int operand_uint(const char *text, uint64_t *ret_number);
int operand_bool(const char *text, bool *ret_truth);
// An address or a network; without "/bits" all bits count.
int operand_ip(const char *text, struct ip *ret_ip, uint8_t *ret_bits);
