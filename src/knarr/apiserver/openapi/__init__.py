"""The OpenAPI documents, made from the schema's facts, discovery's rows and, for words, kubernetes-validate."""
