module launcher

go 1.25
