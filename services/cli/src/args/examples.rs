//! Examples at the end of each command's help.
//!
//! Promises: each line is a command as a shell takes it; a test parses all of them.

pub(super) const LEPTON: &str = "Examples:
  lepton up
  lepton analyze rows.csv --target label
  lepton task submit echo '{\"hello\":\"world\"}' --wait
  lepton --address http://10.0.0.5:8000 nodes";

pub(super) const UP: &str = "Examples:
  lepton up
  lepton up --workers 4 --data-dir /srv/lepton
  lepton up --listen 127.0.0.1:0 --console 127.0.0.1:0 --admin 127.0.0.1:0
  lepton up --etcd http://10.0.0.1:2379,http://10.0.0.2:2379";

pub(super) const ANALYZE: &str = "Examples:
  lepton analyze rows.csv
  lepton analyze rows.csv --target label
  lepton analyze rows.json --target label --output json
  zcat rows.csv.gz | lepton analyze - --target label";

pub(super) const TASK: &str = "Examples:
  lepton task submit echo '{\"hello\":\"world\"}' --wait
  lepton task list --state failed
  lepton task get 0198c0de-0000-7000-8000-000000000000";

pub(super) const SUBMIT: &str = "Examples:
  lepton task submit echo '{\"hello\":\"world\"}' --wait
  lepton task submit analyze @request.json --request-id report-2026-11
  printf '[1,2,3]' | lepton task submit echo - --timeout 30s --max-attempts 5";

pub(super) const GET: &str = "Examples:
  lepton task get 0198c0de-0000-7000-8000-000000000000
  lepton task get 0198c0de-0000-7000-8000-000000000000 --output json";

pub(super) const LIST: &str = "Examples:
  lepton task list
  lepton task list --state failed --kind train --limit 10
  lepton task list --label team=vision --since 1h --oldest-first";

pub(super) const COUNT: &str = "Examples:
  lepton task count
  lepton task count --kind train --since 24h";

pub(super) const PURGE: &str = "Examples:
  lepton task purge --until 168h
  lepton task purge --state succeeded --kind echo";

pub(super) const WATCH: &str = "Examples:
  lepton task watch 0198c0de-0000-7000-8000-000000000000";

pub(super) const WAIT: &str = "Examples:
  lepton task wait 0198c0de-0000-7000-8000-000000000000 --timeout 5m";

pub(super) const CANCEL: &str = "Examples:
  lepton task cancel 0198c0de-0000-7000-8000-000000000000
  lepton task cancel --kind train --label run=17";

pub(super) const RETRY: &str = "Examples:
  lepton task retry 0198c0de-0000-7000-8000-000000000000
  lepton task retry 0198c0de-0000-7000-8000-000000000000 0198c0de-0000-7000-8000-000000000001
  lepton task retry --state failed --kind train --since 1h";

pub(super) const ATTEMPTS: &str = "Examples:
  lepton task attempts 0198c0de-0000-7000-8000-000000000000";

pub(super) const DELETE_TASK: &str = "Examples:
  lepton task delete 0198c0de-0000-7000-8000-000000000000";

pub(super) const TRAIN: &str = "Examples:
  lepton train rows.csv --target label
  lepton train rows.csv --target label --features x,y --model price --deploy
  lepton train rows.csv --target label --method gradient-descent --learning-rate 0.01";

pub(super) const MODEL: &str = "Examples:
  lepton model push price model.onnx --deploy
  lepton model list
  lepton model rollback price";

pub(super) const PUSH: &str = "Examples:
  lepton model push price model.onnx
  lepton model push price model.onnx --deploy";

pub(super) const MODELS: &str = "Examples:
  lepton model list
  lepton model list --output json";

pub(super) const VERSIONS: &str = "Examples:
  lepton model get price";

pub(super) const DEPLOY: &str = "Examples:
  lepton model deploy price
  lepton model deploy price --version 2";

pub(super) const UNDEPLOY: &str = "Examples:
  lepton model undeploy price";

pub(super) const ROLLBACK: &str = "Examples:
  lepton model rollback price";

pub(super) const DELETE: &str = "Examples:
  lepton model delete price 1";

pub(super) const INFER: &str = "Examples:
  lepton infer price --input rows.csv
  lepton infer price --input tensors.json --version 2
  printf '[{\"x\":1,\"y\":2}]' | lepton infer price --input -";

pub(super) const NODES: &str = "Examples:
  lepton nodes
  lepton nodes --output json";

pub(super) const INCIDENTS: &str = "Examples:
  lepton incidents
  lepton incidents --output json";

pub(super) const TRACE: &str = "Examples:
  lepton trace 0af7651916cd43dd8448eb211c80319c
  lepton trace 0af7651916cd43dd8448eb211c80319c --wait 500ms";

pub(super) const JOURNAL: &str = "Examples:
  lepton journal status
  lepton journal verify
  lepton journal dump --limit 20 --etcd http://127.0.0.1:2379";

pub(super) const STATUS: &str = "Examples:
  lepton journal status
  lepton journal status --etcd http://127.0.0.1:2379 --output json";

pub(super) const VERIFY: &str = "Examples:
  lepton journal verify
  lepton journal verify --etcd http://127.0.0.1:2379 --cluster lepton";

pub(super) const DUMP: &str = "Examples:
  lepton journal dump --limit 20
  lepton journal dump --from-segment 12 --output json";

pub(super) const RESTORE: &str = "Examples:
  lepton restore --etcd http://127.0.0.1:2379
  lepton restore --etcd http://10.0.0.1:2379,http://10.0.0.2:2379 --accept-loss
  lepton restore --etcd http://127.0.0.1:2379 --accept-loss --new-blob-store";

pub(super) const BENCH: &str = "Examples:
  lepton bench tasks --count 1000
  lepton bench analyze --rows 1000 --count 100
  lepton bench infer price --rows 16 --count 1000";

pub(super) const BENCH_TASKS: &str = "Examples:
  lepton bench tasks --count 1000
  lepton bench tasks --count 1000 --concurrency 64 --output json";

pub(super) const BENCH_ANALYZE: &str = "Examples:
  lepton bench analyze --rows 1000 --count 100
  lepton bench analyze --count 1000 --concurrency 16";

pub(super) const BENCH_INFER: &str = "Examples:
  lepton bench infer price --count 1000 --concurrency 16
  lepton bench infer price --rows 16 --count 1000 --rate 500";

pub(super) const COMPLETIONS: &str = "Examples:
  lepton completions bash > ~/.local/share/bash-completion/completions/lepton
  lepton completions zsh > ~/.zfunc/_lepton
  lepton completions fish > ~/.config/fish/completions/lepton.fish";
