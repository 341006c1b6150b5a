//! An open task is fetched no more often than necessary, and is shown also without its input and output.

use std::sync::Mutex;

use lepton_core::net::Listener;
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::serve;
use lepton_mesh::server::stack::mount;
use lepton_proto::convert::time::timestamp;
use lepton_proto::task::v1::task::{Payload, Result as Outcome};
use lepton_proto::task::v1::task_service_server::{TaskService, TaskServiceServer};
use lepton_proto::task::v1::{
    BatchCancelTasksRequest, BatchCancelTasksResponse, BatchRetryTasksRequest, BatchRetryTasksResponse,
    BatchSubmitTasksRequest, BatchSubmitTasksResponse, CancelTaskRequest, CancelTaskResponse, CountTasksRequest,
    CountTasksResponse, DeleteTaskRequest, DeleteTaskResponse, GetTaskRequest, GetTaskResponse, ListAttemptsRequest,
    ListAttemptsResponse, ListKindsRequest, ListKindsResponse, ListTasksRequest, ListTasksResponse, PauseKindRequest,
    PauseKindResponse, PurgeTasksRequest, PurgeTasksResponse, ResumeKindRequest, ResumeKindResponse, RetryTaskRequest,
    RetryTaskResponse, State, SubmitTaskRequest, SubmitTaskResponse, Task, TaskView, WaitTaskRequest, WaitTaskResponse,
    WatchTaskRequest, WatchTaskResponse,
};
use tonic::{Response as Answer, Status};

use super::*;

const ID: &str = "0192d3e4-0000-7000-8000-000000000001";
/// More than a console takes for a page.
const LARGE: usize = 2 << 20;

/// A gateway with one task, which records the calls.
#[derive(Debug, Clone, Default)]
struct FakeGateway {
    /// The views of the calls, in their order.
    views: Arc<Mutex<Vec<TaskView>>>,
    task: Arc<Mutex<Task>>,
}

impl FakeGateway {
    fn answer(&self, view: TaskView) -> Task {
        self.views.lock().unwrap().push(view);
        let whole = self.task.lock().unwrap().clone();
        if view != TaskView::Basic {
            return whole;
        }
        Task {
            payload: None,
            result: None,
            ..whole
        }
    }

    fn change(&self, change: impl FnOnce(&mut Task)) {
        change(&mut self.task.lock().unwrap());
    }

    /// Calls since the last count: without, and with input and output.
    fn counts(&self) -> (usize, usize) {
        let views = std::mem::take(&mut *self.views.lock().unwrap());
        let basic = views.iter().filter(|view| **view == TaskView::Basic).count();
        (basic, views.len() - basic)
    }
}

#[tonic::async_trait]
impl TaskService for FakeGateway {
    type WatchTaskStream = futures::stream::Empty<Result<WatchTaskResponse, Status>>;

    async fn get_task(&self, request: tonic::Request<GetTaskRequest>) -> Result<Answer<GetTaskResponse>, Status> {
        let task = Some(self.answer(request.get_ref().view()));
        Ok(Answer::new(GetTaskResponse { task }))
    }

    async fn list_tasks(&self, request: tonic::Request<ListTasksRequest>) -> Result<Answer<ListTasksResponse>, Status> {
        Ok(Answer::new(ListTasksResponse {
            tasks: vec![self.answer(request.get_ref().view())],
            ..ListTasksResponse::default()
        }))
    }

    async fn cancel_task(&self, _: tonic::Request<CancelTaskRequest>) -> Result<Answer<CancelTaskResponse>, Status> {
        self.change(|task| task.set_state(State::Cancelled));
        let task = Some(self.answer(TaskView::Full));
        Ok(Answer::new(CancelTaskResponse { task }))
    }

    async fn count_tasks(&self, _: tonic::Request<CountTasksRequest>) -> Result<Answer<CountTasksResponse>, Status> {
        Ok(Answer::new(CountTasksResponse::default()))
    }

    async fn batch_cancel_tasks(
        &self,
        _: tonic::Request<BatchCancelTasksRequest>,
    ) -> Result<Answer<BatchCancelTasksResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn batch_retry_tasks(
        &self,
        _: tonic::Request<BatchRetryTasksRequest>,
    ) -> Result<Answer<BatchRetryTasksResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn purge_tasks(&self, _: tonic::Request<PurgeTasksRequest>) -> Result<Answer<PurgeTasksResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn submit_task(&self, _: tonic::Request<SubmitTaskRequest>) -> Result<Answer<SubmitTaskResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn batch_submit_tasks(
        &self,
        _: tonic::Request<BatchSubmitTasksRequest>,
    ) -> Result<Answer<BatchSubmitTasksResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn retry_task(&self, _: tonic::Request<RetryTaskRequest>) -> Result<Answer<RetryTaskResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn delete_task(&self, _: tonic::Request<DeleteTaskRequest>) -> Result<Answer<DeleteTaskResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn list_attempts(
        &self,
        _: tonic::Request<ListAttemptsRequest>,
    ) -> Result<Answer<ListAttemptsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn list_kinds(&self, _: tonic::Request<ListKindsRequest>) -> Result<Answer<ListKindsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn pause_kind(&self, _: tonic::Request<PauseKindRequest>) -> Result<Answer<PauseKindResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn resume_kind(&self, _: tonic::Request<ResumeKindRequest>) -> Result<Answer<ResumeKindResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn wait_task(&self, _: tonic::Request<WaitTaskRequest>) -> Result<Answer<WaitTaskResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn watch_task(&self, _: tonic::Request<WatchTaskRequest>) -> Result<Answer<Self::WatchTaskStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

/// A gateway with a running task of this input, and a console that knows it.
async fn opened(input: Payload) -> (FakeGateway, Router, Shutdown) {
    let asked = FakeGateway::default();
    asked.change(|task| {
        *task = Task {
            id: ID.to_owned(),
            kind: "echo".to_owned(),
            attempts: 1,
            worker: "worker-1".to_owned(),
            payload: Some(input),
            ..Task::default()
        };
        task.set_state(State::Running);
    });
    let listener: Listener = Net::Os.bind("127.0.0.1:0").await.unwrap();
    let gateway = InstanceRow {
        address: listener.local_addr().to_string(),
        ..row("gateway", "gateway-1", false)
    };
    let (router, shutdown, sender) = console(
        MeshView {
            at: at(60),
            rows: vec![gateway],
            ..MeshView::default()
        },
        8,
    );
    // Nothing changes, but the console must not take the sender's end for a change.
    std::mem::forget(sender);
    let app = mount(Router::new(), TaskServiceServer::new(asked.clone()));
    tokio::spawn(serve(listener, app, Limits::default(), shutdown.clone()));
    (asked, router, shutdown)
}

async fn page(router: &Router, path: &str) -> String {
    let request = Request::builder().uri(path).header(ACCEPT, "text/html");
    let (parts, page) = ask(router.clone(), request, "").await;
    assert_eq!(parts.status, 200, "{page}");
    page
}

fn text(text: &str) -> prost_types::Value {
    let kind = prost_types::value::Kind::StringValue(text.to_owned());
    prost_types::Value { kind: Some(kind) }
}

#[tokio::test]
async fn input_and_output_are_fetched_once_and_an_ended_task_no_more() {
    let (asked, router, _shutdown) = opened(Payload::Input(text("given"))).await;
    let path = format!("/tasks/{ID}");
    for _ in 0..5 {
        let page = page(&router, &path).await;
        assert!(
            page.contains("given") && page.contains("None yet.") && page.contains("Cancel task"),
            "{page}"
        );
    }
    assert_eq!(asked.counts(), (5, 1));
    asked.change(|task| {
        task.result = Some(Outcome::Output(text("gave")));
        task.end_time = Some(timestamp(at(20)));
        task.set_state(State::Succeeded);
    });
    for _ in 0..5 {
        let page = page(&router, &path).await;
        assert!(page.contains("gave") && !page.contains("Cancel task"), "{page}");
    }
    assert_eq!(asked.counts(), (1, 1));
    page(&router, "/tasks").await;
    page(&router, "/workers").await;
    assert_eq!(asked.counts(), (2, 0), "lists go without");
}

#[tokio::test]
async fn a_task_too_large_to_show_can_be_cancelled() {
    let (asked, router, _shutdown) = opened(Payload::Input(text(&"x".repeat(LARGE)))).await;
    let path = format!("/tasks/{ID}");
    let mut shown = String::new();
    for _ in 0..3 {
        shown = page(&router, &path).await;
        assert!(
            shown.contains("Too large to show here") && shown.contains("Cancel task"),
            "{shown}"
        );
        assert!(shown.contains(&format!("/api/v1/tasks/{ID}</code>")), "{shown}");
    }
    assert_eq!(asked.counts(), (3, 1));
    let token = shown
        .split("name=\"token\" value=\"")
        .nth(1)
        .and_then(|rest| rest.get(..32));
    let form: &'static str = format!("token={}", token.expect("the form has a token")).leak();
    let request = Request::builder()
        .method("POST")
        .uri(format!("{path}/cancel"))
        .header(HOST, "127.0.0.1:8080")
        .header("origin", "http://127.0.0.1:8080");
    let (parts, body) = ask(router.clone(), request, form).await;
    assert_eq!(parts.status, 303, "{body}");
    assert!(page(&router, &path).await.contains("cancelled"));
}
