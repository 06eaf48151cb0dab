module libkata

go 1.19
