"""Words of protocols. What is put together from these alone may stand in a recording; every other name is replaced.

Models' and clients' names are among them; words with which a person's own things are called are not.
"""


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


WORDS = names(
    """
    accept readonly harness async speculative toolsets toolset sdk application source machine build release
    extension population target bucket tracking msedge app guardian requested attribution urlencoded access
    abexpid accepted accessible after alive api assignment attempts azureml campaign category configured counts
    down eligible expect for generating geo helper hmac if inference innererror integrator lang machineid memgen
    mitigated modality n onbehalf originator p package plugin processing promo protocol quote ratio rejected
    related responsesapi retries searching sessionid severity stainless strategy subscription svc syntax trailer
    units email go edu profile account accounts action active added additional age agent agents ai allow allowed
    alpha always analysis analytics annotation annotations anthropic any apikey apply approval arguments array
    arm arg args assistant at attachment attachments attestation audio auth authentication authorization
    authorize auto available average azure backend bad balance base batch bearer bedrock begin beta billing
    block blocked blocks body boolean bot budget byok br by bytes cache cached call caller calls can cancel
    cancelled capabilities capi cert cf chain challenge charset chat chatcmpl chatgpt check checked choice
    choices chrome chromium chunk chunked cipher citation citations claude cli client close code codex codes
    collector command commands comment common compact compaction complete completed completion completions
    compression computer config configuration confirmation connect connection consent container content context
    continue control conversation cookie copilot cost count create created creation credentials credits current
    custom cwd daily darwin data date day days deactivated debian debug declined deep deepseek default deflate
    delay delta deltas denied depleted description desktop detail details developer device digest direct disable
    disabled discount display done duration early edit edits editor effort electron embedding embeddings empty
    enable enabled encoding encrypted end endpoint endpoints engine engines enterprise entitlement enum env
    environment ep ephemeral error errors etag event events example exceeded exchange exec execute exhausted
    exit exp experiment experimental expire expired expires extensions extra failed failure false family fast
    feature features fedramp fetch field fields file files filter final finish first five flash flex float force
    forbidden form format forwarded found free frequency from function functions gateway gemini generate
    generation get ghost git github githubcopilot global goal google gpt grammar gzip has head header headers
    hidden high hint history host hour hours html http https id identity idle image images in include included
    incomplete index individual info init initiator inline input inputs insert installation instruction
    instructions insufficient integer integration intent interaction interactions internal interval invalid ip
    is issued issuer item items javascript jetbrains job json jwt keep key keys kid kind kit label language
    large last latency latest left len length library limit limited limits line lines linux lite local location
    log logged login logprobs long low mac macos mai map markdown max maximum maybe mcp media medium memories
    memory message messages meta metadata metered metering method metrics min mini minimal minimum minute
    minutes misdirected missing mistral mode model models modified monthly moderation move ms multi multiplier
    multipart name names nano native nes network neovim new next no node none not note notice notification
    notifications null number object octet of off ok oauth omni on once only opaque open openai operation opus
    option optional options or order org organization origin original os out outcome output over overage
    overload overloaded overrides override own page parallel param parameter parameters parent part partial
    parts patch path payload payment pending penalty percent period permission permitted picker ping plain plan
    platform plus policy pool pragma predicted prediction preference prefix premium presence present preview
    previous price primary priority private pro process product programmatic progress project prompt properties
    property provider proxy public queue queued quota quotas raw rate ratelimit read reached ready realtime
    reason reasoning received redacted reference references referer refresh refusal refuse refused region rem
    remaining remote repetition replace report repository request requests required requirements research reset
    resets residency resource response responses result results resume retention retry retryable return review
    revision role root route router routing rule run running runtime safari safety sampling sandbox scale schema
    schemas scope scopes search sec second secondary seconds secret security seed select selected sequence server
    service session sessions set sha shape share shell short should sideband sig sign signature signed since size skill
    skills sku slow small snapshot snapshots snippy socket sonnet span sse standard start started state status
    step steps stop store stream streaming strict string structured style subagent subject subscriber suffix
    suggestion suggestions summaries summarize summary supported swe system task tasks telemetry temperature
    terminal terminated test text thinking thought thread threads throttle tier time timeout timestamp title to
    todo token tokenizer tokens too tool tools top total trace traceparent tracestate tracing transfer transport
    true truncated truncation turbo turn turns type types ubuntu unauthorized unavailable unknown unlimited
    unsupported until update updated upgrade upload upstream url urls usage use used user utf value values
    variant vary verbosity verification version versions via view vim vision visual visualstudio vscode wait
    waiting wall warning warnings warmup web websocket websockets week weekly weight wham width height window
    windows with workbench workspace workspaces world write written xhigh xml zone zstd aiu alg alt amd anyof
    arch aud azp bengalfox blackbird bool cjs connector connectors cors css csrf dnt dest eng ent fc fp gh ghe
    gmt gnu iat insiders iss jti keepalive mime mjs mobile nbf nl noisy nwo oai oneof allof openid otel ov perm
    phase ps pypi rfc rs rst rt seats semi sent snippet sub te toml tps txt typ ua uri utc uuid wasm webp
    webview win ws xtab yaml year years zip preset nonce fork forked collaboration effective encryption logit
    bias instruct grok llama qwen kimi glm haiku codestral goldeneye raptor oswe exceed limiter spend spent
    revoked suspended reused invalidated unlisted spammy disposition match unmodified mismatch unsafe nosniff
    frame sameorigin deny site cross same ray dynamic hit miss bypass cloudflare nginx envoy timing expose
    origins preflight methods permissions embedder opener corp coop coep referrer nel hsts subdomains preload
    immutable revalidate x v must stale transform authenticate www insecure navigate ch bitness gen
    """
)

PREFIXES = names(
    """
    resp msg rs call fc fco ctc cmp ws ws_call item chatcmpl cmpl user org sess req gho ghu ghp ghr rt toolu run
    file ig thread session turn ac proj asst mcp modelcmpl compaction aimg chatcmplx github_pat sk acc acct
    """
)
"""What may stand before the `_` or `-` of an id: it tells the kind."""

TOOLS = names(
    """
    shell exec_command write_stdin apply_patch update_plan view_image web_search image_generation local_shell
    spawn_agent send_input wait close_agent resume_agent list_mcp_resources list_mcp_resource_templates
    read_mcp_resource request_user_input tool_search bash read_bash write_bash stop_bash list_bash view create
    edit str_replace_editor report_intent fetch_copilot_cli_documentation ask_user task grep glob web_fetch
    skill sql read_file create_file replace_string_in_file run_in_terminal semantic_search file_search
    grep_search list_dir get_errors insert_edit_into_file manage_todo_list runSubagent fetch_webpage think
    """
)
"""Names of tools that the clients bring along; others are of a person's own servers."""
