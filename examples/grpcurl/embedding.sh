# To be sourced after client.sh: embeddings of texts, a call in the model's own format, here that of
# Titan Text Embeddings V2. In JSON, the bytes of both bodies are base64.

embedding() { # TARGET TEXT
    jq -n --arg target "$1" --arg inputText "$2" \
        '{$target, body: ({$inputText, dimensions: 256, normalize: true} | tojson | @base64)}' |
        SERVICE=bedrock.inference.v1.ModelService call InvokeModel |
        jq -c '.body | @base64d | fromjson | .embedding'
}

# Prints the one of the others whose meaning is nearest to the text's. Makes one call for each text.
# Normalized vectors have length 1, so the cosine similarity is their dot product.
nearest() { # TARGET TEXT OTHER...
    local target=$1 text vectors
    shift
    vectors=$(for text; do embedding "$target" "$text" || exit; done) || return
    jq -s -r '.[0] as $wanted
        | [.[1:], $ARGS.positional[1:]] | transpose
        | max_by([$wanted, .[0]] | transpose | map(.[0] * .[1]) | add)
        | .[1]' --args "$@" <<<"$vectors"
}
