// The library never touches the socket, so that the caller can tell when bytes have come.
#include "tls.h"

#include "harness.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/socket.h>

struct tls {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    BIO *received, *to_send; // the library's
};

void tls_make_certificate(const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    cr_assert(X509_sign(certificate, key, EVP_sha256()));
    _cleanup_fclose_ FILE *certificate_file = fopen(certificate_path, "we");
    _cleanup_fclose_ FILE *key_file = fopen(key_path, "we");
    cr_assert(certificate_file && key_file);
    cr_assert(PEM_write_X509(certificate_file, certificate));
    cr_assert(PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL));
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static bool send_pending(struct tls *tls)
{
    char buffer[16384];
    int count;
    while ((count = BIO_read(tls->to_send, buffer, sizeof(buffer))) > 0)
        for (int sent = 0; sent < count;) {
            ssize_t more = send(tls->fd, buffer + sent, (size_t)(count - sent), MSG_NOSIGNAL);
            if (more < 0)
                return false;
            sent += (int)more;
        }
    return true;
}

struct tls *tls_new(int fd)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    cr_assert(tls);
    tls->fd = fd;
    tls->context = SSL_CTX_new(TLS_client_method());
    tls->ssl = SSL_new(tls->context);
    tls->received = BIO_new(BIO_s_mem());
    tls->to_send = BIO_new(BIO_s_mem());
    cr_assert(tls->ssl && tls->received && tls->to_send);
    SSL_set_bio(tls->ssl, tls->received, tls->to_send);
    int result;
    while ((result = SSL_connect(tls->ssl)) != 1) {
        char buffer[16384];
        cr_assert_eq(SSL_get_error(tls->ssl, result), SSL_ERROR_WANT_READ, "no TLS: %s",
                     ERR_error_string(ERR_peek_last_error(), NULL));
        cr_assert(send_pending(tls));
        ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
        cr_assert_gt(count, 0, "the server ends the handshake");
        BIO_write(tls->received, buffer, (int)count);
    }
    cr_assert(send_pending(tls));
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

bool tls_send(struct tls *tls, const char *text, size_t length)
{
    return SSL_write(tls->ssl, text, (int)length) == (int)length && send_pending(tls);
}

ssize_t tls_decrypt(struct tls *tls, const char *received, size_t count, char *ret_text, size_t size)
{
    if (count)
        BIO_write(tls->received, received, (int)count);
    ERR_clear_error();
    int result = SSL_read(tls->ssl, ret_text, (int)size);
    if (result > 0)
        return result;
    int error = SSL_get_error(tls->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}
